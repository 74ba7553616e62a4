r"""Write tinydiff/data/avatar-parts.json from DiceBear's npm package @dicebear/pixel-art, version 9.4.3.

    npm pack @dicebear/pixel-art@9.4.3 && tar xzf dicebear-pixel-art-9.4.3.tgz
    python tools/make_avatar_parts.py package

Each part is a list of shapes, painted one over the other: [path, fill rule, colour, opacity]. A colour is a name, such
as "hair", that a portrait gives a value, or one of its own, such as "#fff". The design is CC0 1.0; see NOTICE.
"""

import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "tinydiff" / "data" / "avatar-parts.json"
SLOTS = ("accessories", "clothing", "eyes", "glasses", "beard", "mouth", "hair", "hat")
PLACEHOLDER = re.compile(r"\$\{escape\.xml\(`\$\{colors\.(\w+)\}`\)\}")


def main() -> None:
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "lib" / "index.js").is_file():
        sys.exit(f"{__doc__}\nOne argument was expected: the folder of the unpacked package.")
    library = Path(sys.argv[1]) / "lib"
    body = re.search(r"body: `(.*?)\$\{\(", (library / "index.js").read_text(), re.DOTALL)
    parts = {"body": {"body": shapes(body.group(1))}}
    for slot in SLOTS:
        source = (library / "components" / f"{slot}.js").read_text()
        found = re.findall(r"^    (\w+): \(components, colors\) => `(.*)`,$", source, re.MULTILINE)
        parts[slot] = {name: shapes(fragment) for name, fragment in sorted(found)}
    lines = json.dumps(parts, indent=1)
    TARGET.write_text(re.sub(r"\[\s+([^\[\]]*?)\s+\]", join_lines, lines) + "\n")
    count = sum(map(len, parts.values())) - 1
    print(f"{TARGET}: {count} parts in {len(SLOTS)} slots, {TARGET.stat().st_size} bytes")


def shapes(fragment: str) -> list[list]:
    """Return [path, fill rule, colour, opacity] of each shape in a piece of SVG."""
    root = ET.fromstring(f"<svg>{PLACEHOLDER.sub(lambda match: match.group(1), fragment)}</svg>")
    masks = {mask.get("id"): mask for mask in root.iter("mask")}
    return [shape for element in root for shape in shapes_of(element, masks)]


def shapes_of(element: ET.Element, masks: dict[str, ET.Element], inherited: str | None = None) -> list[list]:
    colour = element.get("fill", inherited)
    if element.tag == "mask":
        return []
    if element.get("mask"):
        # A beard: fills of the whole picture, seen through a mask as bright as the hair is. That hides dark beards;
        # here the mask's shape alone counts.
        mask = masks[element.get("mask").removeprefix("url(#").removesuffix(")")]
        (outline,) = mask
        strength = float(outline.get("opacity", 1))
        path, rule = outline.get("d"), outline.get("fill-rule", "nonzero")
        return [[path, rule, fill.get("fill"), strength * float(fill.get("fill-opacity", 1))] for fill in element]
    if element.tag == "g":
        return [shape for child in element for shape in shapes_of(child, masks, colour)]
    opacity = float(element.get("fill-opacity", 1)) * float(element.get("opacity", 1))
    return [[element.get("d"), element.get("fill-rule", "nonzero"), colour, round(opacity, 4)]]


def join_lines(match: re.Match) -> str:
    """Write a list of texts and numbers on one line."""
    return "[" + re.sub(r"\s*\n\s*", " ", match.group(1)) + "]"


if __name__ == "__main__":
    main()
