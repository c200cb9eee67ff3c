"""One pair of recordings, one data set and one model for all tests."""

from dataclasses import replace
from pathlib import Path

import pytest
import synthetic

from ganglion_trainer import config, dataset, evaluate, prepare, train
from ganglion_trainer.config import Config


@pytest.fixture(scope="session")
def settings() -> Config:
    """Defaults, with the quickest candidate alone."""
    own = config.load()
    return replace(own, train=own.train | {"candidates": ["extra-trees"], "folds": 3})


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run to train with and one to test with."""
    folder = tmp_path_factory.mktemp("recordings")
    synthetic.recording("train", 1).write(folder / "train-1")
    synthetic.recording("test", 2, rounds=1).write(folder / "test-2")
    return folder


@pytest.fixture(scope="session")
def data_folder(recordings: Path, settings: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set on disk."""
    folder = tmp_path_factory.mktemp("data")
    dataset.write(prepare.prepare([recordings / "train-1", recordings / "test-2"], settings), folder)
    return folder


@pytest.fixture(scope="session")
def model_folder(data_folder: Path, settings: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained and judged model on disk."""
    folder = tmp_path_factory.mktemp("model")
    data = dataset.read(data_folder)
    train.train(data, settings, folder)
    evaluate.evaluate(data, folder, "test")
    return folder
