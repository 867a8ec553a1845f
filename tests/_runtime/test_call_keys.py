"""Keys of calls, and the buckets that travel with a call."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest

from driftline._runtime.call_keys import KEY_BUCKETS, bucket_of, key_bucket, key_digest, split_context


def test_equal_keys_have_equal_buckets_and_many_keys_fill_all():
    buckets = Counter(key_bucket(key_digest(f"user {number}", "")) for number in range(64 * KEY_BUCKETS))
    assert set(buckets) == set(range(KEY_BUCKETS))
    assert max(buckets.values()) < 2 * 64
    identity = uuid.uuid4()
    assert key_digest(7, "s") == key_digest("7", "s") != key_digest(b"7", "s")
    assert key_digest(identity, "s") == key_digest(str(identity), "s") != key_digest(identity, "t")


@pytest.mark.parametrize("key", [True, 1.5, ["a"], object()])
def test_a_key_whose_string_may_differ_between_processes_is_refused(key):
    with pytest.raises(TypeError, match=f"a key of type {type(key).__name__}"):
        key_digest(key, "")


def test_context_and_bucket_of_a_call_share_a_field():
    context = {"a": 1}
    assert split_context(None) == (None, None)
    assert split_context(context) == (context, None)
    assert split_context(3) == (None, 3)
    assert split_context((context, 3)) == (context, 3)
    assert [bucket_of(each) for each in (None, context, 0, (context, 3))] == [None, None, 0, 3]
