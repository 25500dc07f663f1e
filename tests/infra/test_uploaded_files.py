"""Uploaded files: what is closed while a thread still writes is closed, and nothing is written anywhere else."""

import asyncio
import hashlib
import os

import pytest
from pydantic import BaseModel, ValidationError

from infra.uploaded_files import UploadedFile


class Form(BaseModel):
    file: UploadedFile


async def test_what_is_added_is_in_the_file_after_a_flush() -> None:
    file = UploadedFile()
    file.add(b"date;")
    file.add(b"amount")
    await file.flush()
    await file.flush()

    assert os.pread(file.fileno(), 100, 0) == b"date;amount"
    assert (file.size, file.unwritten_size, file.sha256) == (11, 0, hashlib.sha256(b"date;amount").hexdigest())
    file._close()


async def test_a_file_that_is_closed_takes_nothing_any_more() -> None:
    file, other = UploadedFile(), UploadedFile()
    file.add(b"late")
    file._close()
    await file.flush()

    assert os.fstat(other.fileno()).st_size == 0
    other._close()


async def test_a_write_that_was_cancelled_ends_before_the_file_is_closed() -> None:
    file = UploadedFile()
    file.add(bytes(2**22))
    writing = asyncio.ensure_future(file.flush())
    await asyncio.sleep(0)
    writing.cancel()
    file.close()
    await asyncio.to_thread(file._close)

    assert file._file.closed


@pytest.mark.parametrize("value", ["statement.csv", b"date;amount", None, 7, {}])
def test_nothing_else_is_a_file(value: object) -> None:
    with pytest.raises(ValidationError, match=r"Send a file, as `curl -F file=@statement"):
        Form.model_validate({"file": value})


def test_the_schema_of_a_file_is_that_of_a_file_to_choose() -> None:
    assert Form.model_json_schema()["properties"]["file"] == {"format": "binary", "title": "File", "type": "string"}
