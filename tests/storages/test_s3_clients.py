"""Other S3 clients through the front: aws, MinIO's for Python, and boto3 over TLS (aws-chunked)."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from tests.certificates import Authority
from tests.server import Server
from tests.storages.s3_clients import (
    ACCESS_KEY,
    REGION,
    S3_SETTINGS,
    SECRET_KEY,
    boto,
    refused,
    url_of,
)
from tests.stores.seaweedfs import KEYS

if TYPE_CHECKING:
    from tests.stores.clouds import S3Cloud

AWS: Final = Path(__file__).parents[2] / "build/clients/aws/bin/aws"
"""Put there by tests/clients/prepare."""
MIB: Final = 1024 * 1024


def test_minio_puts_lists_gets_and_removes(server: Server, tmp_path: Path) -> None:
    host, port = server.address
    minio = Minio(
        endpoint=f"{host}:{port}",
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        region=REGION,
        secure=False,
    )
    assert minio.bucket_exists(bucket_name="private")
    assert not minio.bucket_exists(bucket_name="nowhere")
    data = os.urandom(11 * MIB)
    minio.put_object(
        bucket_name="private",
        object_name="minio/large",
        data=io.BytesIO(data),
        length=len(data),
        part_size=5 * MIB,
        metadata={"by": "me"},
    )
    minio.put_object(
        bucket_name="private", object_name="minio/a/small.txt", data=io.BytesIO(b"x"), length=1
    )
    file = tmp_path / "back"
    minio.fget_object(bucket_name="private", object_name="minio/large", file_path=str(file))
    assert file.read_bytes() == data
    found = minio.stat_object(bucket_name="private", object_name="minio/large")
    assert found.size == len(data)
    assert found.metadata is not None
    assert found.metadata["x-amz-meta-by"] == "me"
    listed = minio.list_objects(bucket_name="private", prefix="minio/")
    assert [(each.object_name, each.is_dir) for each in listed] == [
        ("minio/large", False),
        ("minio/a/", True),
    ]
    keys = ["minio/large", "minio/a/small.txt"]
    failed = minio.remove_objects(
        bucket_name="private", delete_object_list=[DeleteObject(name=key) for key in keys]
    )
    assert list(failed) == []
    with pytest.raises(S3Error) as gone:
        minio.stat_object(bucket_name="private", object_name="minio/large")
    assert gone.value.code == "NoSuchKey"


def test_aws_s3_copies_lists_and_removes(server: Server, tmp_path: Path) -> None:
    def aws(*words: str) -> str:
        environment = {
            "PATH": os.defpath,
            "HOME": str(tmp_path),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
        }
        command = [str(AWS), "--endpoint-url", url_of(server), "s3", *words]
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    file, back = tmp_path / "large.bin", tmp_path / "back.bin"
    file.write_bytes(os.urandom(12 * MIB))  # more than one part
    aws("cp", "--quiet", str(file), "s3://private/aws/large.bin")
    assert [line.split()[2:] for line in aws("ls", "s3://private/aws/").splitlines()] == [
        [str(12 * MIB), "large.bin"]
    ]
    aws("cp", "--quiet", "s3://private/aws/large.bin", str(back))
    assert hashlib.sha256(back.read_bytes()).digest() == hashlib.sha256(file.read_bytes()).digest()
    aws("rm", "--quiet", "--recursive", "s3://private/aws/")
    assert aws("ls", "--recursive", "s3://private") == ""


def test_a_storage_in_a_bucket_is_one_of_the_front_too(bucket: S3Cloud, tmp_path: Path) -> None:
    place = f"s3://{bucket.bucket}/front/?endpoint={bucket.url}&region={REGION}&path_style=1"
    settings = {**S3_SETTINGS, **KEYS, "FILELOFT_STORAGES": f"behind={place}&paths=relaxed"}
    file = tmp_path / "file"
    file.write_bytes(os.urandom(11 * MIB))
    with Server(tmp_path / "data", settings) as server, boto(server) as s3:
        s3.upload_file(str(file), "behind", "a/large.bin", ExtraArgs={"Metadata": {"by": "me"}})
        made = s3.put_object(Bucket="behind", Key="a/small.txt", Body=b"x", IfNoneMatch="*")
        taken = partial(
            s3.put_object, Bucket="behind", Key="a/small.txt", Body=b"y", IfNoneMatch="*"
        )
        assert refused(taken) == (412, "PreconditionFailed")
        got = s3.get_object(Bucket="behind", Key="a/large.bin")
        assert got["Body"].read() == file.read_bytes()
        assert got["Metadata"] == {"by": "me"}
        part = s3.get_object(Bucket="behind", Key="a/large.bin", Range="bytes=7-16")
        assert part["Body"].read() == file.read_bytes()[7:17]
        assert s3.head_object(Bucket="behind", Key="a/small.txt")["ETag"] == made["ETag"]
        listed = s3.list_objects_v2(Bucket="behind", Prefix="a/")["Contents"]
        assert [each["Key"] for each in listed] == ["a/large.bin", "a/small.txt"]
        rolled_up = s3.list_objects_v2(Bucket="behind", Delimiter="/")
        assert [each["Prefix"] for each in rolled_up["CommonPrefixes"]] == ["a/"]
        keys = [{"Key": each["Key"]} for each in listed]
        assert len(s3.delete_objects(Bucket="behind", Delete={"Objects": keys})["Deleted"]) == 2
        assert s3.list_objects_v2(Bucket="behind")["KeyCount"] == 0


def test_over_tls_bodies_come_in_chunks_with_a_checksum_after_them(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    settings = {**S3_SETTINGS, **authority.issue("server").settings()}
    data = os.urandom(3 * MIB)

    def spoil(request: Any, **_: Any) -> None:
        request.headers.replace_header("x-amz-decoded-content-length", "1")

    with Server(tmp_path / "data", settings) as server:
        url = url_of(server).replace("http:", "https:")
        with boto(server, url=url, verify=str(authority.certificate)) as s3:
            for algorithm in ("CRC32", "SHA256"):
                told = s3.put_object(
                    Bucket="public", Key="tls", Body=io.BytesIO(data), ChecksumAlgorithm=algorithm
                )
                assert f"Checksum{algorithm}" in told
                sent = told["ResponseMetadata"]["HTTPHeaders"]
                assert f"x-amz-checksum-{algorithm.lower()}" in sent
                assert s3.get_object(Bucket="public", Key="tls")["Body"].read() == data
            s3.meta.events.register("before-sign.s3.PutObject", spoil)
            wrong = s3.put_object
            assert refused(lambda: wrong(Bucket="public", Key="wrong", Body=io.BytesIO(data))) == (
                400,
                "InvalidRequest",
            )
            assert refused(lambda: s3.head_object(Bucket="public", Key="wrong"))[0] == 404
