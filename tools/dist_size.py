"""Print how large the built distributions are, and what is large in them: ``python tools/dist_size.py dist``."""

import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath

SHOWN = 8  # folders or files of each distribution


def sizes(path: Path) -> dict[str, int]:
    """Return the bytes that each file takes: compressed in a wheel, as they are in a source distribution."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return {member.filename: member.compress_size for member in wheel.infolist()}
    with tarfile.open(path) as archive:
        return {member.name.partition("/")[2]: member.size for member in archive if member.isfile()}


def report(path: Path) -> str:
    """Return a distribution's size, and the largest of its folders, as lines of text."""
    folders: Counter[str] = Counter()
    for name, size in sizes(path).items():
        folders["/".join(PurePosixPath(name).parts[:3])] += size
    how = "compressed" if path.suffix == ".whl" else "before compression"
    lines = [f"{path.name}: {path.stat().st_size / 1e6:.1f} MB; the largest parts, {how}:"]
    lines += [f"  {size / 1e6:6.2f} MB  {name}" for name, size in folders.most_common(SHOWN)]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    found = [path for path in sorted(Path(arguments[0]).iterdir()) if path.name.endswith((".whl", ".tar.gz"))]
    print("\n".join(map(report, found)) or f"{arguments[0]} holds no distribution: make dist builds them.")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["dist"]))
