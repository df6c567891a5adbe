from __future__ import annotations

from pathlib import Path

import pytest

from mlregistry.adapters.artefact_store import ARRAYS, DOCUMENT, ArtefactStore
from tests.unit.trading.domain.regime.test_artefact import FLAT, TWO_CLOCK
from trading.domain.regime.artefact import encode
from trading.domain.regime.errors import ArtefactRefused


@pytest.fixture
def store(tmp_path: Path) -> ArtefactStore:
    return ArtefactStore(tmp_path / "models")


def test_a_written_artefact_is_read_back_by_its_digest(store: ArtefactStore) -> None:
    encoded = encode(FLAT)
    folder = store.write(encoded)
    assert folder.name == encoded.digest
    assert encode(store.read(encoded.digest)) == encoded
    assert store.find(encoded.digest[:8]) == encoded.digest


def test_writing_it_again_changes_nothing_and_leaves_nothing_behind(store: ArtefactStore) -> None:
    encoded = encode(FLAT)
    before = store.write(encoded).stat().st_mtime_ns
    assert store.write(encoded).stat().st_mtime_ns == before
    assert [folder.name for folder in store.root.iterdir()] == [encoded.digest]


@pytest.mark.parametrize("name", [DOCUMENT, ARRAYS])
def test_a_file_that_was_changed_on_disk_is_refused(store: ArtefactStore, name: str) -> None:
    encoded = encode(FLAT)
    path = store.write(encoded) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ArtefactRefused):
        store.read(encoded.digest)
    with pytest.raises(ArtefactRefused):
        store.write(encoded)


def test_a_half_written_folder_is_refused(store: ArtefactStore) -> None:
    encoded = encode(FLAT)
    (store.write(encoded) / ARRAYS).unlink()
    with pytest.raises(ArtefactRefused, match="cannot be read"):
        store.read(encoded.digest)


@pytest.mark.parametrize("digest", ["", "../../etc", "A" * 64, "a" * 63])
def test_what_is_no_digest_never_becomes_a_path(store: ArtefactStore, digest: str) -> None:
    with pytest.raises(ArtefactRefused, match="expected a SHA-256"):
        store.read(digest)
    with pytest.raises(ArtefactRefused, match="0 models begin"):
        store.find(digest)


def test_a_prefix_of_several_models_is_refused(store: ArtefactStore) -> None:
    for artefact in (FLAT, TWO_CLOCK):
        store.write(encode(artefact))
    with pytest.raises(ArtefactRefused, match="0 models begin with '0000'"):
        store.find("0000")
    with pytest.raises(ArtefactRefused):
        store.find("*")
