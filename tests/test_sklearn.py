"""NetworkClassifier: scikit-learn's own checks, its tools around it, and docs/sklearn.md."""

import logging
import pickle
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from nbconv import DataError, Dataset, Network, SettingError, notation

pytest.importorskip("sklearn", reason="needs scikit-learn: the extra sklearn")
import joblib
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from nbconv.sklearn import NetworkClassifier

PAGE = (Path(__file__).parent.parent / "docs" / "sklearn.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NET = "8C3-MP2-20N-N"


@pytest.fixture(scope="module")
def pictures(digits):
    """(images (n, 1, 8, 8) in [0, 1], labels), for training and for the test."""
    train, _, test = digits
    some = slice(0, 600)
    return (np.asarray(train.images)[some], train.labels[some]), (
        np.asarray(test.images),
        test.labels,
    )


@pytest.fixture(scope="module")
def rows(pictures):
    """The same as rows of 64 pixels."""
    return [(images.reshape(len(images), -1), labels) for images, labels in pictures]


def of_pictures(**parameters):
    return NetworkClassifier(NET, **{"epochs": 5, "random_state": 0} | parameters)


@parametrize_with_checks(
    [NetworkClassifier(), NetworkClassifier("20N-N", optimiser="adam", dtype="float64")]
)
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_pictures_as_they_are(pictures):
    """The same bits as the network itself."""
    (images, labels), (others, right) = pictures
    ours = of_pictures(eta=0.1, lmbda=0.1, dropout=0.2).fit(images, labels)
    layers = notation.parse(f"{NET[:-1]}10N", "relu", dropout=0.2)
    net = Network(layers, input_shape=(1, 8, 8))
    net.fit(Dataset(images, labels), epochs=5, mini_batch_size=10, eta=0.1, lmbda=0.1)
    assert np.array_equal(ours.predict_proba(others), net.predict_proba(others))
    assert np.array_equal(ours.predict(others), net.predict(others))
    assert ours.score(others, right) > 0.85
    assert ours.n_features_in_ == 64
    half = NetworkClassifier("N", epochs=1).fit(images / 2, labels)
    assert (half.offset_, half.scale_) == (0, 1)


def test_rows_axes_and_levels_are_the_same_pictures(pictures):
    (images, labels), (others, _) = pictures
    wanted = of_pictures().fit(images, labels).predict_proba(others)
    levels = np.round(255 * images).astype(np.uint8)
    flat, moved = images.reshape(len(images), -1), np.moveaxis(images, 1, 3)
    for given, predicted in (
        (flat, others.reshape(len(others), -1)),
        (images[:, 0], others[:, 0]),
        (moved, np.moveaxis(others, 1, 3)),
        (levels, np.round(255 * others).astype(np.uint8)),
        (4 * images - 2, 4 * others - 2),
    ):
        classifier = of_pictures(input_shape=(1, 8, 8) if given is flat else None)
        answers = classifier.fit(given, labels).predict_proba(predicted)
        np.testing.assert_allclose(answers, wanted, atol=1e-3)


def test_features_are_scaled_each_by_its_own_range(rows):
    (features, labels), (others, _) = rows
    scaler = MinMaxScaler(clip=True).fit(features[:, 10:20])
    wanted = NetworkClassifier(epochs=2, random_state=0)
    wanted.fit(scaler.transform(features[:, 10:20]), labels)
    units = np.logspace(-3, 3, 10)
    ours = clone(wanted).fit(units * features[:, 10:20] - 5 * units, labels)
    np.testing.assert_allclose(
        ours.predict_proba(units * others[:, 10:20] - 5 * units),
        wanted.predict_proba(scaler.transform(others[:, 10:20])),
        atol=1e-4,
    )


def test_values_beyond_the_range_are_clipped_and_many_said(rows, caplog):
    (features, labels), (others, _) = rows
    classifier = NetworkClassifier("N", epochs=1, random_state=0).fit(features, labels)
    wanted = classifier.predict_proba(others.clip(0, 1))
    beyond = np.where(others == 1, 50, others)
    beyond[1:] = others[1:]
    assert np.array_equal(classifier.predict_proba(beyond), wanted)
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "nbconv"):
        classifier.predict_proba(255 * others)
    assert "far outside the training data's range" in caplog.text
    caplog.clear()
    classifier.predict_proba(others / 240)
    assert "of the training data's range: expected data of the same kind" in caplog.text


def test_classes_may_be_texts_or_any_numbers(rows):
    (features, labels), (others, _) = rows
    numbers = NetworkClassifier(epochs=2, random_state=0).fit(features, labels)
    names = np.array([f"class {9 - k}" for k in range(10)])  # sorted the other way round
    texts = clone(numbers).fit(features, names[labels])
    assert list(texts.classes_) == sorted(names)
    assert set(texts.predict(others)) <= set(names)
    assert texts.score(others, names[numbers.predict(others)]) > 0.8
    odd = clone(numbers).fit(features, 10 * labels - 30)
    assert np.array_equal(odd.predict(others), 10 * numbers.predict(others) - 30)
    assert np.array_equal(odd.classes_, 10 * np.arange(10) - 30)


def test_the_network_has_the_names_of_the_classes(rows):
    (features, labels), (others, right) = rows
    names = np.array(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    )
    net = NetworkClassifier(epochs=2, random_state=0).fit(features, names[labels]).network_
    assert net.class_names == tuple(sorted(names))
    assert net.evaluate(Dataset(others, names[right]))["accuracy"] > 0.7


def test_a_feature_that_never_varied_says_nothing(rows):
    (features, labels), (others, _) = rows
    constant = np.full((len(features), 1), 7.0)
    classifier = NetworkClassifier(epochs=1, random_state=0)
    classifier.fit(np.hstack([10 * features, constant]), labels)
    answers = [
        classifier.predict_proba(np.hstack([10 * others, np.full((len(others), 1), value)]))
        for value in (7, 8, -3)
    ]
    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[0], answers[2])


def test_more_threads_than_a_process_may_use(rows, monkeypatch):
    """As joblib's processes have them: results do not depend on it."""
    (features, labels), _ = rows
    many = NetworkClassifier("N", epochs=1, random_state=0, threads=10_000).fit(features, labels)
    one = clone(many).set_params(threads=1).fit(features, labels)
    assert np.array_equal(many.predict_proba(features), one.predict_proba(features))


def test_early_stopping_takes_the_best_epoch(rows):
    (features, labels), _ = rows
    classifier = NetworkClassifier("N", epochs=50, eta=2, patience=2, random_state=0)
    classifier.fit(features, labels)
    state = classifier.network_.state
    accuracies = state.history["validation_accuracy"]
    assert len(accuracies) < 50
    assert state.best.epoch == len(accuracies) - 2
    assert state.best.validation_accuracy == max(accuracies)
    engine = classifier.network_.engine
    assert np.array_equal(engine.read(engine.parameters), state.best.parameters)
    assert max(accuracies) * 60 == pytest.approx(round(max(accuracies) * 60))  # a tenth of 600


def test_class_weight(rows):
    (features, labels), (others, right) = rows
    is_rare = (labels > 4) & (np.arange(len(labels)) % 20 > 0)  # few of classes 5 to 9 are left
    features, labels = features[~is_rare], labels[~is_rare]
    plain = NetworkClassifier(epochs=3, random_state=0).fit(features, labels)
    balanced = clone(plain).set_params(class_weight="balanced").fit(features, labels)
    counts = np.bincount(labels)
    given = clone(plain).set_params(class_weight={k: 7 / n for k, n in enumerate(counts)})
    answers = given.fit(features, labels).predict_proba(others)
    np.testing.assert_allclose(answers, balanced.predict_proba(others), atol=1e-4)
    assert balanced.score(others, right) > plain.score(others, right) + 0.05
    for weight in (-1.0, 0.0):
        wrong = clone(plain).set_params(class_weight=dict.fromkeys(range(10), weight))
        with pytest.raises(SettingError, match="expected numbers of 0 or more"):
            wrong.fit(features, labels)


def test_random_state(rows):
    (features, labels), (others, _) = rows

    def answers(random_state):
        classifier = NetworkClassifier("N", epochs=1, random_state=random_state)
        return classifier.fit(features, labels).predict_proba(others)

    assert np.array_equal(answers(1), answers(np.int64(1)))
    assert not np.array_equal(answers(1), answers(2))
    first, again = (answers(np.random.RandomState(5)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(answers(None), answers(None))


def test_verbose_prints_a_line_for_each_epoch(rows, capsys):
    (features, labels), _ = rows
    NetworkClassifier("N", epochs=2).fit(features, labels)
    assert capsys.readouterr().out == ""
    NetworkClassifier("N", epochs=2, verbose=True).fit(features, labels)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["epoch", "1/2"], ["epoch", "2/2"]]


def test_copies_answer_as_the_original(pictures, tmp_path):
    (images, labels), (others, _) = pictures
    classifier = of_pictures(epochs=1).fit(images, labels)
    wanted = classifier.predict_proba(others)
    joblib.dump(classifier, tmp_path / "classifier.joblib")
    for copy in (
        joblib.load(tmp_path / "classifier.joblib"),
        pickle.loads(pickle.dumps(classifier)),
        clone(classifier).fit(images, labels),
    ):
        assert np.array_equal(copy.predict_proba(others), wanted)
    with pytest.raises(NotFittedError):
        clone(classifier).predict(others)


@pytest.mark.slow
def test_in_a_pipeline_and_cross_validation(rows):
    (features, labels), _ = rows
    pipeline = make_pipeline(StandardScaler(), NetworkClassifier(epochs=5, random_state=0))
    scores = cross_val_score(pipeline, features, labels, cv=3)
    assert scores.min() > 0.8
    again = cross_val_score(pipeline, features, labels, cv=3)
    assert np.array_equal(scores, again)
    losses = cross_val_score(pipeline, features, labels, cv=3, scoring="neg_log_loss")
    assert losses.min() > -1
    pipeline.fit(features, labels)
    assert log_loss(labels, pipeline.predict_proba(features)) < 0.5


@pytest.mark.slow
def test_a_search_in_two_processes_is_that_in_one(pictures):
    (images, labels), (others, right) = pictures
    grid = {"eta": [0.001, 0.1]}
    searches = [
        GridSearchCV(of_pictures(epochs=3), grid, cv=2, n_jobs=jobs).fit(images, labels)
        for jobs in (None, 2)
    ]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    assert np.array_equal(*scores)
    assert searches[1].best_params_ == {"eta": 0.1}
    assert searches[1].score(others, right) > 0.5


@pytest.mark.parametrize(
    ("parameters", "error", "said"),
    [
        ({"net": "30N"}, SettingError, "ends in 30 neurons, and y has 10 classes"),
        ({"net": "64-30-10"}, SettingError, "no probabilities"),
        ({"net": 30}, SettingError, "net is 30: expected a string"),
        ({"net": "8C3-N"}, SettingError, "expected (channels, rows, columns)"),
        ({"input_shape": (1, 8, 9)}, DataError, "images are 64: expected 1x8x9"),
        ({"random_state": "a"}, SettingError, "random_state is 'a'"),
        ({"mini_batch_size": 0}, SettingError, "mini_batch_size is 0"),
        ({"patience": 1, "validation_fraction": 1.0}, SettingError, "validation_fraction is 1.0"),
    ],
)
def test_what_is_refused(rows, parameters, error, said):
    with pytest.raises(error, match=re.escape(said)):
        NetworkClassifier(**parameters).fit(*rows[0])


def test_pictures_of_another_shape_are_refused(pictures):
    (images, labels), _ = pictures
    classifier = of_pictures(epochs=1).fit(images, labels)
    with pytest.raises(DataError, match="images are 1x4x16: expected 1x8x8"):
        classifier.predict(images.reshape(-1, 1, 4, 16))
    with pytest.raises(DataError, match="images are 1x8x8: expected 1x4x16"):
        of_pictures(input_shape=(1, 4, 16)).fit(images, labels)


@pytest.mark.slow
def test_without_scikit_learn_a_line_says_what_to_install():
    script = "import sys; sys.modules['sklearn'] = None; import nbconv.sklearn"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stderr.endswith(
        "SettingError: scikit-learn is not installed, or older than 1.6: "
        "expected pip install 'nbconv[sklearn]'\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_of_the_page(example, monkeypatch, tmp_path):
    if "import optuna" in example and not find_spec("optuna"):
        pytest.skip("needs optuna, which is no dependency")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "docs/sklearn.md", "exec"), {})
