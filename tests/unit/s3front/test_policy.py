"""POST policies: what a signed form may say, and what its upload is bound to."""

from __future__ import annotations

import base64
import hmac
import json
from calendar import timegm
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fileloft_fast.s3front.codes import (
    EntityTooLargeError,
    EntityTooSmallError,
    InvalidPolicyDocumentError,
    S3Error,
)
from fileloft_fast.s3front.policy import FormUpload, parse_policy, verify_form
from fileloft_fast.s3front.signature import signing_key
from tests.unit.s3front.signing import ACCESS_KEY, SECRET_KEY, SECRETS

# The example of "Browser-Based Upload using HTTP POST" in the S3 API reference.
EXAMPLE_AT: Final = timegm((2015, 12, 29, 12, 0, 0))
EXAMPLE_POLICY: Final = """\
{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}""".replace("\n", "\r\n")
EXAMPLE: Final = {
    "key": "user/user1/${filename}",
    "acl": "public-read",
    "success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html",
    "Content-Type": "image/jpeg",
    "x-amz-meta-uuid": "14365123651274",
    "x-amz-server-side-encryption": "AES256",
    "X-Amz-Credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Date": "20151229T000000Z",
    "x-amz-meta-tag": "",
    "Policy": base64.b64encode(EXAMPLE_POLICY.encode()).decode(),
    "X-Amz-Signature": "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
}
TOMORROW: Final = "2015-12-30T12:00:00Z"
CREDENTIAL: Final = f"{ACCESS_KEY}/20151229/us-east-1/s3/aws4_request"


def form(
    *conditions: Any, expiration: str = "2015-12-30T12:00:00Z", **fields: str
) -> dict[str, str]:
    """Return a signed form with *fields*, for whose policy the usual conditions are added."""
    usual = [
        {"bucket": "b"},
        ["starts-with", "$key", ""],
        *({name: value} for name, value in _signature_fields().items()),
    ]
    policy = {"expiration": expiration, "conditions": [*usual, *conditions]}
    return sign(json.dumps(policy), **{"key": "k", **fields})


def _signature_fields() -> dict[str, str]:
    return {
        "x-amz-credential": CREDENTIAL,
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-date": "20151229T000000Z",
    }


def sign(policy: str, **fields: str) -> dict[str, str]:
    coded = base64.b64encode(policy.encode()).decode()
    key = signing_key(SECRET_KEY, "20151229", "us-east-1")
    signature = hmac.digest(key, coded.encode(), "sha256").hex()
    return {**fields, **_signature_fields(), "policy": coded, "x-amz-signature": signature}


def accepted(fields: dict[str, str], bucket: str = "b", **how: Any) -> FormUpload:
    return verify_form(fields.items(), bucket, SECRETS, how.pop("at", EXAMPLE_AT), **how)


def refused(fields: dict[str, str], code: str, **how: Any) -> None:
    with pytest.raises(S3Error) as caught:
        accepted(fields, **how)
    assert caught.value.code == code, str(caught.value)


def test_the_example_of_the_documentation_is_verified() -> None:
    sent = accepted(EXAMPLE, "sigv4examplebucket", file_name="C:\\pictures\\me.jpg")
    assert (sent.key, sent.content_type, sent.status) == ("user/user1/me.jpg", "image/jpeg", 204)
    assert sent.metadata == (("uuid", "14365123651274"), ("tag", ""))


def test_the_example_is_for_its_own_bucket_and_its_own_time() -> None:
    refused(EXAMPLE, "AccessDenied", bucket="another")
    refused(EXAMPLE, "AccessDenied", bucket="sigv4examplebucket", at=EXAMPLE_AT + 2 * 86400)
    refused(EXAMPLE, "AccessDenied", bucket="sigv4examplebucket", at=EXAMPLE_AT - 86400)


@pytest.mark.parametrize("name", [name for name in EXAMPLE if name != "key"])
def test_no_field_of_the_example_can_be_changed_or_left_out(name: str) -> None:
    others = {other: value for other, value in EXAMPLE.items() if other != name}
    changed = EXAMPLE[name] + "x" if name != "Content-Type" else "text/html"
    if name != "x-amz-meta-tag":  # which may be anything
        with pytest.raises(S3Error):
            accepted({**others, name: changed}, "sigv4examplebucket")
        with pytest.raises(S3Error):
            accepted(others, "sigv4examplebucket")


def test_a_key_must_begin_as_the_policy_says() -> None:
    for key in ("user/user2/x", "", "/user/user1/x", "user/user1"):
        refused({**EXAMPLE, "key": key}, "AccessDenied", bucket="sigv4examplebucket")


def test_names_of_fields_have_no_case() -> None:
    accepted({name.upper(): value for name, value in form().items()})
    accepted(form(["eq", "$CoNtEnT-tYpE", "image/png"], **{"Content-Type": "image/png"}))
    refused({**form(), "KEY": "k"}, "InvalidArgument")


def test_every_field_must_be_in_the_policy_but_the_free_ones() -> None:
    accepted({**form(), "x-ignore-me": "1"})
    for name in (
        "acl",
        "Content-Type",
        "success_action_status",
        "x-amz-meta-a",
        "submit",
        "tagging",
    ):
        refused({**form(), name: "x"}, "AccessDenied")


def test_a_policy_without_bucket_or_key_is_for_nothing() -> None:
    for missing in ("bucket", "key"):
        conditions = [["eq", f"${name}", value] for name, value in _signature_fields().items()]
        conditions += [
            ["eq", f"${n}", v] for n, v in (("bucket", "b"), ("key", "k")) if n != missing
        ]
        policy = json.dumps({"expiration": "2015-12-30T12:00:00Z", "conditions": conditions})
        refused(sign(policy, key="k"), "AccessDenied")


def test_a_size_must_be_in_every_range() -> None:
    sent = accepted(form(["content-length-range", 5, 100], ["content-length-range", "1", "50"]))
    assert (sent.smallest, sent.largest) == (5, 50)
    sent.check_size(5)
    sent.check_size(50)
    with pytest.raises(EntityTooSmallError):
        sent.check_size(4)
    with pytest.raises(EntityTooLargeError):
        sent.check_size(51)


@pytest.mark.parametrize(
    ("status", "answered"), [("200", 200), ("201", 201), ("204", 204), ("302", 204), ("x", 204)]
)
def test_the_status_of_the_answer_is_one_of_three(status: str, answered: int) -> None:
    sent = accepted(form({"success_action_status": status}, success_action_status=status))
    assert sent.status == answered


@pytest.mark.parametrize("fraction", ["", ".0", ".123", ".123456", ".123456789"])
def test_an_expiration_may_have_a_fraction(fraction: str) -> None:
    fields = form(expiration=f"2015-12-29T12:00:00{fraction}Z")
    accepted(fields, at=EXAMPLE_AT)
    refused(fields, "AccessDenied", at=EXAMPLE_AT + 1)


@pytest.mark.parametrize(
    "expiration",
    ["", "2015-12-30", "2015-12-30T12:00:00", "2015-13-30T12:00:00Z", "0000-01-01T00:00:00Z",
     "2015-02-30T12:00:00Z", "2015-12-30T12:00:00+01:00", "2015-12-30 12:00:00Z"],
)  # fmt: skip
def test_an_expiration_is_a_time_in_utc(expiration: str) -> None:
    refused(form(expiration=expiration), "InvalidPolicyDocument")


@pytest.mark.parametrize(
    "condition",
    [[], {}, "x", 1, None, ["eq", "$a"], ["eq", "a", "b"], ["ne", "$a", "b"], {"a": "b", "c": "d"},
     {"a": 1}, ["eq", "$a", 1], ["content-length-range", 1], ["content-length-range", -1, 5],
     ["content-length-range", True, 5], ["content-length-range", 1.5, 5],
     ["content-length-range", "x", 5], ["starts-with", "$a", "b", "c"]],
)  # fmt: skip
def test_a_condition_of_no_known_form_makes_the_policy_invalid(condition: Any) -> None:
    refused(form(condition), "InvalidPolicyDocument")


@pytest.mark.parametrize(
    "policy", ["", "x", "[]", "{}", '{"expiration": 1, "conditions": []}', "[" * 100_000,
               '{"expiration": "2015-12-30T12:00:00Z", "conditions": [], "more": 1}']
)  # fmt: skip
def test_a_policy_that_is_none_is_refused(policy: str) -> None:
    refused(sign(policy, key="k"), "InvalidPolicyDocument")


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=50) | st.binary(max_size=50).map(lambda b: base64.b64encode(b).decode()))
def test_any_text_is_a_policy_or_is_refused(text: str) -> None:
    try:
        parse_policy(text)
    except InvalidPolicyDocumentError:
        return


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=20), st.text(st.characters(), max_size=20)))
def test_any_form_is_refused_with_an_error_of_s3(fields: dict[str, str]) -> None:
    with pytest.raises(S3Error):
        accepted({**form(), **fields, "x-amz-signature": fields.get("a", "é")})


def test_a_form_without_a_policy_is_anonymous() -> None:
    refused({"key": "k"}, "AccessDenied")
