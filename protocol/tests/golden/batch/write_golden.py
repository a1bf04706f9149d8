"""Writes the python-*.batch files beside it: records by kafka-python, codecs by the C libraries' bindings.

    python3 write_golden.py FOLDER      (needs kafka-python, lz4, zstandard, cramjam)
"""

import struct
import sys
import zlib

import cramjam
import kafka.codec
import lz4.frame
import zstandard
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.util import calc_crc32c


def records(codec):
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1 << 20)
    headers = [("trace", b"a"), ("trace", b"b"), ("empty", b""), ("null", None)]
    builder.append(0, 1_700_000_000_000, b"key", b"value", headers)
    builder.append(1, 1_700_000_000_250, None, None, [])
    builder.append(2, 1_699_999_999_999, b"", b"abc" * 100, [])
    return bytes(builder.build())


def large():
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 20)
    for index in range(3000):
        value = b"value %d of many that are alike" % index
        builder.append(index, index, b"key%d" % (index % 7), value, [])
    return bytes(builder.build())


def compressed(batch, codec, data):
    """`batch` with `data` as its compressed records, length and checksum set right."""
    head = bytearray(batch[:61])
    struct.pack_into(">h", head, 21, codec)
    struct.pack_into(">i", head, 8, 49 + len(data))
    struct.pack_into(">I", head, 17, calc_crc32c(bytes(head[21:]) + data))
    return bytes(head) + data


def main(folder):
    def save(name, batch):
        with open(f"{folder}/python-{name}.batch", "wb") as file:
            file.write(batch)

    save("none", records(0))
    save("gzip", records(1))
    save("lz4", records(3))
    save("zstd", records(4))
    batch = large()
    raw = batch[61:]
    save("gzip-large", compressed(batch, 1, zlib.compress(raw, 9, 31)))
    save("snappy-raw", compressed(batch, 2, bytes(cramjam.snappy.compress_raw(raw))))
    # All that the C library can put into a frame: linked blocks, sizes, both kinds of checksums.
    save("lz4-linked", compressed(batch, 3, lz4.frame.compress(
        raw, block_size=lz4.frame.BLOCKSIZE_MAX64KB, block_linked=True, content_checksum=True,
        block_checksum=True, store_size=True)))
    save("lz4-4mb", compressed(batch, 3, lz4.frame.compress(
        raw, block_size=lz4.frame.BLOCKSIZE_MAX4MB, block_linked=False, compression_level=9)))
    # A stream without its size, and two frames behind each other.
    stream = zstandard.ZstdCompressor(level=19, write_content_size=False, write_checksum=True)
    save("zstd-stream", compressed(batch, 4, stream.compress(raw)))
    one = zstandard.ZstdCompressor(level=1)
    save("zstd-frames", compressed(batch, 4, one.compress(raw[:5000]) + one.compress(raw[5000:])))


main(sys.argv[1])
