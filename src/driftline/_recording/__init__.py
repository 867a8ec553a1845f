"""The buffers that calls append to, and the recorder that drains them into windows."""
