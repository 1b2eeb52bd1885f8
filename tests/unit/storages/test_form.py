"""A form's parts do not depend on how the network cuts it, and only its boundary ends a part."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fileloft_fast.errors import FormError
from fileloft_fast.storages.form import (
    MAX_FIELD_BYTES,
    MAX_PART_HEAD_BYTES,
    MAX_PARTS,
    End,
    Field,
    FileStart,
    FormEvent,
    FormReader,
)

BOUNDARY = b"dart-http-boundary-" + b"+_-.aZ09" * 6 + b"xyz"
DART = (
    b"--%(b)b\r\n"
    b'content-disposition: form-data; name="key"\r\n\r\n'
    b"profile/1/avatar.png\r\n"
    b"--%(b)b\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-transfer-encoding: binary\r\n"
    b'content-disposition: form-data; name="who"\r\n\r\n'
    b"J\xc3\xbcrgen\r\n"
    b"--%(b)b\r\n"
    b"content-type: application/octet-stream\r\n"
    b'content-disposition: form-data; name="file"; filename="a%%22b.png"\r\n\r\n'
    b"the\r\nbytes\r\n"
    b"--%(b)b--\r\n"
) % {b"b": BOUNDARY}
DART_EVENTS: list[FormEvent] = [
    Field("key", "profile/1/avatar.png"),
    Field("who", "Jürgen"),
    FileStart("file", "a%22b.png", "application/octet-stream"),
    b"the\r\nbytes",
    End.FILE,
    End.FORM,
]


def read(form: bytes, cuts: list[int] = [], boundary: bytes = BOUNDARY) -> list[FormEvent]:  # noqa: B006 - not changed
    """Return the events of *form* that comes cut at *cuts*, the bytes of one file joined."""
    reader = FormReader(boundary)
    events: list[FormEvent] = []
    ends = sorted(min(cut, len(form)) for cut in cuts)
    for start, end in pairwise([0, *ends, len(form)]):
        for event in reader.feed(form[start:end]):
            before = events[-1] if events else None
            if isinstance(event, bytes) and isinstance(before, bytes):
                assert event, "an event of no bytes"
                events[-1] = before + event
            else:
                events.append(event)
    reader.finish()
    return events


def form_of(*parts: tuple[bytes, bytes], boundary: bytes = BOUNDARY) -> bytes:
    """Return a form of parts, each a head without its end and a content."""
    body = b"".join(b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary, *part) for part in parts)
    return body + b"--%b--\r\n" % boundary


def file_of(content: bytes, boundary: bytes = BOUNDARY) -> bytes:
    return form_of((b'Content-Disposition: form-data; name="file"', content), boundary=boundary)


def contents(events: list[FormEvent]) -> bytes:
    return b"".join(event for event in events if isinstance(event, bytes))


CUTS = st.lists(st.integers(0, len(DART)), max_size=8)


@given(CUTS)
@example(list(range(len(DART))))
def test_a_form_of_dart_is_read_however_the_network_cuts_it(cuts: list[int]) -> None:
    assert read(DART, cuts) == DART_EVENTS


LOOK_ALIKES = st.lists(
    st.sampled_from(
        [
            *(
                b"\r",
                b"\n",
                b"\r\n",
                b"-",
                b"--",
                b"\r\n-",
                b"\r\n--",
                b"\r\n--b",
                b"--bound",
                b"x",
            ),
            *(b"\n--bound", b"\r\r\n--boun", b"\r--bound"),
        ]
    ),
    max_size=12,
).map(b"".join)


@given(
    LOOK_ALIKES.filter(lambda content: b"\r\n--bound" not in b"\r\n" + content),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_what_looks_like_a_boundary_is_content(content: bytes, cuts: list[int]) -> None:
    events = read(file_of(content + b"|", b"bound"), cuts, b"bound")
    assert contents(events) == content + b"|"
    assert events[-2:] == [End.FILE, End.FORM]


@given(LOOK_ALIKES, st.lists(st.integers(0, 400), max_size=8))
def test_whether_a_form_is_refused_does_not_depend_on_cuts(content: bytes, cuts: list[int]) -> None:
    form = content + file_of(content, b"bound") + content

    def outcome(cuts: list[int]) -> list[FormEvent] | None:
        try:
            return read(form, cuts, b"bound")
        except FormError:
            return None

    assert outcome(cuts) == outcome([])


NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=4), st.binary(max_size=300))
def test_pythons_own_parser_reads_the_same(fields: list[tuple[str, str]], content: bytes) -> None:
    quoted = [name.replace('"', "%22").replace("\\", "/") for name, _ in fields]
    parts = [
        (f'Content-Disposition: form-data; name="{name}"'.encode(), value.encode())
        for name, (_, value) in zip(quoted, fields, strict=True)
    ]
    head = b'Content-Disposition: form-data; name="file"; filename="a.bin"\r\nContent-Type: a/b'
    form = form_of(*parts, (head, content))
    events = read(form)
    type_of_all = b"Content-Type: multipart/form-data; boundary=" + b'"%b"\r\n\r\n' % BOUNDARY
    parsed = email.message_from_bytes(type_of_all + form, policy=email.policy.compat32)
    theirs = [part for part in parsed.walk() if part is not parsed]
    values = [event.value.encode() for event in events if isinstance(event, Field)]
    assert len(theirs) == len(fields) + 1
    assert [*values, contents(events)] == [part.get_payload(decode=True) for part in theirs]
    assert [event.name for event in events if isinstance(event, Field)] == quoted


def test_what_pythons_own_writer_makes_is_read() -> None:
    message = EmailMessage(policy=email.policy.HTTP)
    message["Content-Type"] = "multipart/form-data"
    message.set_boundary("bound")
    for disposition, payload in ((b'form-data; name="a"', "1"), (b"form-data; name=b", "2\r\n3")):
        part = EmailMessage(policy=email.policy.HTTP)
        part["Content-Disposition"] = disposition.decode()
        part.set_payload(payload)
        message.attach(part)
    body = message.as_bytes().partition(b"\r\n\r\n")[2]
    assert read(body, boundary=b"bound") == [Field("a", "1"), Field("b", "2\r\n3"), End.FORM]


def test_a_file_may_stand_at_any_place() -> None:
    field = (b'Content-Disposition: form-data; name="a"', b"1")
    file = (b'Content-Disposition: form-data; name="f"; filename=""', b"2")
    events: list[FormEvent] = [FileStart("f", "", ""), b"2", End.FILE]
    assert read(form_of(file, field)) == [*events, Field("a", "1"), End.FORM]
    assert read(form_of(field, file)) == [Field("a", "1"), *events, End.FORM]


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\r\n\r\n", b"--", b"-" * 100])
def test_nothing_is_added_to_a_file_or_taken_from_it(content: bytes) -> None:
    for cuts in ([], list(range(500))):
        assert contents(read(file_of(content), cuts)) == content


def test_a_part_without_content_may_lack_the_line_before_its_boundary() -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n--b\r\n'
    form += b'Content-Disposition: form-data; name="a"\r\n\r\n--b--'
    for cuts in ([], list(range(len(form)))):
        assert read(form, cuts, b"b") == [
            *(FileStart("file", "", ""), End.FILE),
            *(Field("a", ""), End.FORM),
        ]


def test_what_stands_before_and_after_the_form_is_ignored() -> None:
    for before in (b"\r\n", b"This is a form.\r\n\r\n"):
        assert read(before + DART + b"more\r\n--" + BOUNDARY + b"\r\n") == DART_EVENTS


def test_blanks_after_a_boundary_are_ignored() -> None:
    padded = DART.replace(BOUNDARY + b"\r\n", BOUNDARY + b" \t \r\n")
    for cuts in ([], list(range(len(padded)))):
        assert read(padded, cuts) == DART_EVENTS


def test_a_form_that_is_cut_off_is_refused_at_its_end() -> None:
    for end in range(len(DART) - 3):
        reader = FormReader(BOUNDARY)
        reader.feed(DART[:end])
        with pytest.raises(FormError, match="ends before"):
            reader.finish()


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"Content-Type: text/plain",
        b"Content-Disposition: form-data",
        b"Content-Disposition: form-data; name",
        b"Content-Disposition: attachment; name=a",
        b'Content-Disposition: form-data; name="a',
        b'Content-Disposition: form-data; name="a"b',
        b"Content-Disposition: form-data; name=a; name=b",
        b"Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=a",
        b'Content-Disposition: form-data; name="a\0b"',
        b'Content-Disposition: form-data; name="a\nb"',
        b'Content-Disposition: form-data; name="\xff"',
        b"Content-Disposition : form-data; name=a",
        b"no field\r\nContent-Disposition: form-data; name=a",
        b"Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64",
        b"Content-Disposition: form-data; name=a; filename*=latin1''x",
        b"Content-Disposition: form-data; name=a; filename*=UTF-8''%ff",
        b"Content-Disposition: form-data; name=a; filename*=UTF-8''a%0ab",
    ],
)
def test_a_part_that_does_not_say_what_it_is_is_refused(head: bytes) -> None:
    with pytest.raises(FormError):
        read(form_of((head, b"x")))


@pytest.mark.parametrize(
    ("parameters", "name", "filename"),
    [
        (b"name=file; filename=a.png", "file", "a.png"),
        (b'name="file";filename="a b;c=d.png"', "file", "a b;c=d.png"),
        (b'NAME="a" ; FileName="\xc3\xa4.png";', "a", "ä.png"),
        (b'name="a\\"b"; filename="\\\\c\\d"', 'a"b', "\\c\\d"),
        (b"name=a; filename*=utf-8'en'%c3%a4%20b", "a", "ä b"),
        (b"name=a; filename=plain; filename*=UTF-8''other", "a", "plain"),
        (b'name="file"', "file", ""),
    ],
)
def test_names_are_read_as_browsers_and_curl_write_them(
    parameters: bytes, name: str, filename: str
) -> None:
    form = form_of((b"content-disposition:form-data; " + parameters, b"x"))
    assert read(form)[0] == FileStart(name, filename, "")


def test_a_folded_line_is_one_line() -> None:
    head = b'Content-Disposition: form-data;\r\n\tname="a";\r\n filename="b"'
    assert read(form_of((head, b"x")))[0] == FileStart("a", "b", "")


def test_a_line_that_begins_with_the_boundary_and_goes_on_is_refused() -> None:
    with pytest.raises(FormError, match="goes on"):
        read(file_of(b"x\r\n--" + BOUNDARY + b"1\r\n"))


FIELD_HEAD = b'Content-Disposition: form-data; name="a"'


def test_fields_together_have_a_limit() -> None:
    half = MAX_FIELD_BYTES // 2 - 1
    assert len(read(form_of((FIELD_HEAD, b"x" * half), (FIELD_HEAD, b"x" * half)))) == 3
    with pytest.raises(FormError, match="fields"):
        read(form_of((FIELD_HEAD, b"x" * half), (FIELD_HEAD, b"x" * (half + 1))))


def test_what_is_too_large_is_refused_before_it_is_whole() -> None:
    reader = FormReader(BOUNDARY)
    with pytest.raises(FormError, match="fields"):
        reader.feed(b"--" + BOUNDARY + b"\r\n" + FIELD_HEAD + b"\r\n\r\n" + b"x" * MAX_FIELD_BYTES)
    reader = FormReader(BOUNDARY)
    with pytest.raises(FormError, match="head"):
        reader.feed(b"--" + BOUNDARY + b"\r\n" + b"x" * (MAX_PART_HEAD_BYTES + 4))
    for start in (b"x", b" "):
        reader = FormReader(BOUNDARY)
        with pytest.raises(FormError):
            reader.feed(start * (MAX_PART_HEAD_BYTES + 100))
    reader = FormReader(BOUNDARY)
    with pytest.raises(FormError, match="blanks"):
        reader.feed(b"--" + BOUNDARY + b" " * (MAX_PART_HEAD_BYTES + 1))


@pytest.mark.parametrize("missing", [0, 1])
def test_the_head_of_a_part_has_a_limit(missing: int) -> None:
    rest = MAX_PART_HEAD_BYTES - len(FIELD_HEAD) - len("\r\n\r\nx: ")
    form = form_of((FIELD_HEAD + b"\r\nx: " + b"y" * (rest + 1 - missing), b""))
    for cuts in ([], list(range(8000, 8400))):
        if missing:
            assert read(form, cuts) == [Field("a", ""), End.FORM]
        else:
            with pytest.raises(FormError, match="too large"):
                read(form, cuts)


def test_parts_have_a_limit() -> None:
    assert len(read(form_of(*[(FIELD_HEAD, b"x")] * MAX_PARTS))) == MAX_PARTS + 1
    with pytest.raises(FormError, match="too many"):
        read(form_of(*[(FIELD_HEAD, b"x")] * (MAX_PARTS + 1)))


def test_a_field_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(FormError, match="UTF-8"):
        read(form_of((FIELD_HEAD, b"\xff")))


@given(st.integers(0, len(DART)), LOOK_ALIKES)
def test_another_may_find_the_end_of_the_file(cut: int, content: bytes) -> None:
    form = DART.replace(b"the\r\nbytes", b"|" + content + b"|")
    reader = FormReader(BOUNDARY)
    events = reader.feed(form[:cut])
    for cut_on in range(cut, len(form)):
        if reader.within_file:
            break
        events += reader.feed(form[cut_on : cut_on + 1])
        cut = cut_on + 1
    if not reader.within_file:
        return
    rest = contents(events) + reader.release() + form[cut:]
    assert rest.startswith(b"|" + content + b"|" + reader.delimiter)
    end = rest.index(reader.delimiter)
    assert rest[:end] == b"|" + content + b"|"
    assert reader.feed(rest[end:]) == [End.FILE, End.FORM]
    reader.finish()
