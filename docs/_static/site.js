// What the theme leaves to be done for keyboards and screen readers.
document.addEventListener("DOMContentLoaded", () => {
  // A region that scrolls must be reachable by keyboard.
  for (const region of document.querySelectorAll("pre, .table-wrapper")) region.tabIndex = 0;
  // A signature over several lines is laid out as a list of definitions, and is none.
  for (const part of document.querySelectorAll("dt.sig dl, dt.sig dd")) part.setAttribute("role", "presentation");
});
