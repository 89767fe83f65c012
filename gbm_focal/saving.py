"""Saved models: one zip archive of the engine's own format and a description in JSON, written, read and audited.

Nothing in it is executed when it is read: no pickle, no import by a name that the file says. The model itself is parsed
by the engine.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from numbers import Real
from typing import Any

import numpy as np

from .boosting import ENGINES, Engine
from .link import Link

# Formats of files; each has the lowest whose readers predict rightly from it. The second came with `pos_label`, the
# third with base rates that decisions do not follow.
PLAIN_FORMAT, FIRST_CLASS_POSITIVE_FORMAT, DECISION_SHIFT_FORMAT = 1, 2, 3
_LATEST_FORMAT = DECISION_SHIFT_FORMAT
_DESCRIPTION = "gbm_focal.json"
# How large an entry of a file may become: this many bytes, or this many times its packed size. Models of real data
# stay below 20 times; the most that the format can pack is 1,032 times.
_ALWAYS_UNPACKED = 64 * 2**20
_LARGEST_RATIO = 200

Path = str | os.PathLike[str]


def write(
    path: Path, engine: Engine, model: Any, link: Link, description: Mapping[str, Any], *, form: int = PLAIN_FORMAT
) -> None:
    """Write a model of an engine, its link, and whatever JSON shall stand beside them."""
    content = engine.to_bytes(model)
    described = {
        "format": form,
        "engine": engine.name,
        "versions": {name: metadata.version(name) for name in ("gbm_focal", "scikit-learn", "numpy")},
        "engine_version": engine.version(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "link": json.loads(link.to_json()),
        **description,
    }
    text = json.dumps(described, indent=1, allow_nan=True)  # before the file is opened, because it may fail
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr(_DESCRIPTION, text)
            archive.writestr(engine.model_file, content)
            if not _is_bomb(archive.getinfo(engine.model_file)):
                return


@dataclass(frozen=True)
class Archive:
    """The content of a saved model, whose checksum is right."""

    path: Path
    engine: Engine
    description: dict[str, Any]
    content: bytes

    @contextlib.contextmanager
    def understood(self) -> Iterator[dict[str, Any]]:
        """Yield the description; what is missing or wrong in it becomes an error that names the file."""
        try:
            yield self.description
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _not_readable(self.path, error) from error

    def link(self) -> Link:
        """Return the link."""
        return Link.from_json(json.dumps(self.description["link"]))

    def model(self, settings: Mapping[str, Any]) -> Any:
        """Let the engine read the model."""
        try:
            return self.engine.from_bytes(self.content, settings)
        except Exception as error:  # whatever the engine makes of a damaged model
            raise ValueError(f"{self.path} holds a model that {self.engine.name} cannot read: {error}") from error


def read(path: Path) -> Archive:
    """Read an archive, or raise a ValueError if it is damaged, no saved model, or of a newer format."""
    with open(path, "rb") as file:
        packed = io.BytesIO(file.read())
    try:
        with zipfile.ZipFile(packed) as archive:
            description = json.loads(_entry(archive, _DESCRIPTION))
            if not isinstance(description, dict) or not isinstance(description.get("format"), int):
                raise ValueError(f"{_DESCRIPTION} has no format")
            if description["format"] > _LATEST_FORMAT:
                raise ValueError(
                    f"it has format {description['format']}, written by gbm_focal "
                    f"{description.get('versions', {}).get('gbm_focal')}; this version reads up to {_LATEST_FORMAT}"
                )
            engine = ENGINES.named(description.get("engine"))
            content = _entry(archive, engine.model_file)
    except ImportError:  # the engine is not installed, which is no fault of the file
        raise
    except Exception as error:  # zipfile, zlib and json have a dozen kinds of errors for damaged bytes
        raise _not_readable(path, error) from error
    if hashlib.sha256(content).hexdigest() != description.get("sha256"):
        raise ValueError(f"{path} is damaged: the checksum of its model differs from the one stored beside it")
    return Archive(path, engine, description, content)


def _entry(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.namelist().count(name) != 1:
        raise ValueError(f"it holds {archive.namelist().count(name)} entries {name!r}, not one")
    entry = archive.getinfo(name)
    if _is_bomb(entry):
        raise ValueError(
            f"its entry {name!r} of {entry.compress_size} bytes would unpack to {entry.file_size}, more than any model"
        )
    return archive.read(entry)


def _is_bomb(entry: zipfile.ZipInfo) -> bool:
    return entry.file_size > max(_ALWAYS_UNPACKED, _LARGEST_RATIO * entry.compress_size)


def _not_readable(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is not a model that this version can read: {error}")


# ---- parameters as JSON ----


def plain(value: Any) -> Any:
    """Python's number for NumPy's, and a float for a fraction."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    return float(value) if isinstance(value, Real) and not isinstance(value, int | float) else value


def plain_part(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the parameters that JSON holds, and the names of the others."""
    numbers = {str(name): plain(value) for name, value in parameters.items()}
    kept = {name: value for name, value in numbers.items() if _is_plain(value)}
    return kept, [name for name in numbers if name not in kept]


def pairs(by_label: Any) -> Any:
    """Numbers by label as pairs, because the keys of JSON are words; several numbers as a list."""
    if isinstance(by_label, Mapping):
        return [[plain(label), plain(number)] for label, number in by_label.items()]
    several = isinstance(by_label, list | tuple) or np.ndim(by_label) == 1
    return [plain(number) for number in by_label] if several else plain(by_label)


def of_pairs(stored: Any) -> Any:
    """Undo `pairs`; an array stays a list."""
    of_labels = isinstance(stored, list) and all(isinstance(pair, list) for pair in stored)
    return dict(map(tuple, stored)) if of_labels else stored


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or isinstance(value, bool | int | float | str)
