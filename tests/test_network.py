"""The public class: what it accepts, what it refuses and how it says so."""

import numpy as np
import oracle
import pytest
from conftest import close

import nbconv
from nbconv import (
    AvgPool2D,
    Conv2D,
    Dataset,
    Dense,
    L2Pool2D,
    MaxPool2D,
    Network,
    SettingError,
    Softmax,
)
from nbconv.runs.using import Answer

DESIGN = [
    Conv2D(20, 5, activation="relu"),
    MaxPool2D(2),
    Conv2D(40, 5, activation="relu"),
    MaxPool2D(2),
    Dense(100, activation="relu", dropout=0.5),
    Softmax(10),
]


def small(**options):
    layers = [Conv2D(3, 3, activation="tanh"), MaxPool2D(2), Dense(5), Softmax(4)]
    return Network(layers, input_shape=(2, 8, 8), **options)


def test_the_network_of_the_design():
    network = Network(DESIGN, input_shape=(1, 28, 28), backend="auto", seed=0, dtype="float32")
    shapes = [(layer["weights"].shape, layer["biases"].shape) for layer in network.parameters()]
    assert shapes == [
        ((20, 1, 5, 5), (20,)),
        ((40, 20, 5, 5), (40,)),
        ((100, 640), (100,)),
        ((10, 100), (10,)),
    ]
    summary = network.summary()
    assert "520" in summary  # the book's twenty feature maps
    assert "20x24x24" in summary
    assert network.backend == "cpu"
    assert network.cost == "log-likelihood"


def test_the_shorthand_of_the_book():
    network = Network([784, 30, 10])
    assert network.cost == "cross-entropy"
    assert [layer["weights"].size + layer["biases"].size for layer in network.parameters()] == [
        23550,
        310,
    ]
    assert [spec.activation for spec in network.specs] == ["sigmoid", "sigmoid"]


def test_a_feature_map_of_the_book_has_26_parameters():
    (conv, _) = Network([Conv2D(1, 5), Softmax(10)], (1, 28, 28)).parameters()
    assert conv["weights"].size + conv["biases"].size == 26


def test_a_forward_pass_is_the_oracle():
    network = small(dtype="float64", seed=4)
    images = np.random.default_rng(1).uniform(size=(7, 2, 8, 8))
    conv, dense, softmax = network.parameters()
    a = np.tanh(oracle.conv2d_forward(images, conv["weights"], conv["biases"]))
    a = oracle.pool2d_forward("max", a, (2, 2), (2, 2)).reshape(7, -1)
    a = np.vectorize(oracle.sigmoid)(oracle.dense_forward(a, dense["weights"], dense["biases"]))
    powers = np.exp(oracle.dense_forward(a, softmax["weights"], softmax["biases"]))
    close(network.predict_proba(images), powers / powers.sum(axis=1, keepdims=True), np.float64, 10)
    assert np.array_equal(network.predict(images), powers.argmax(axis=1))


@pytest.mark.parametrize("pool", [L2Pool2D(2), AvgPool2D(3, 2), MaxPool2D((2, 1))])
def test_every_pooling_trains(pool):
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 60)
    images = random.uniform(0, 0.4, (60, 1, 8, 8))
    images[labels == 1, :, :4] += 0.5
    data = nbconv.Dataset(images, labels)
    network = Network([Conv2D(4, 3, activation="tanh"), pool, Softmax(2)], (1, 8, 8))
    network.fit(data, epochs=15, mini_batch_size=10, eta=0.1)
    assert network.evaluate(data)["accuracy"] > 0.95


def test_images_in_any_form_give_the_same_answer(digits):
    network = Network([Conv2D(3, 3), MaxPool2D(2), Softmax(10)], (1, 8, 8), dtype="float64")
    levels = np.ascontiguousarray(digits[2].store[:11])
    values = levels / 255
    right = network.predict_proba(values)
    forms = {
        "levels": levels,
        "flat": values.reshape(11, 64),
        "no channels": values[:, 0],
        "fortran": np.asfortranarray(values),
        "sliced": np.repeat(values, 2, axis=0)[::2],
        "reversed": values[::-1][::-1],
        "big-endian": values.astype(">f8"),
        "int64 levels": levels.astype(np.int64),
        "a view of a dataset": digits[2][:11].images,
        "list": values.tolist(),
    }
    frozen = values.copy()
    frozen.flags.writeable = False
    forms["read-only"] = frozen
    for name, images in forms.items():
        assert np.allclose(network.predict_proba(images), right, rtol=1e-6, atol=1e-7), name
    assert np.array_equal(levels, digits[2].store[:11])
    assert np.allclose(network.predict_proba(values.astype(np.float16)), right, atol=1e-3)


@pytest.mark.parametrize("count", [1, 7, 99, 100, 101, 250])
def test_any_number_of_images(digits, count):
    network = Network([Conv2D(3, 3), MaxPool2D(2), Softmax(10)], (1, 8, 8))
    whole = network.predict_proba(digits[0].images[:250])
    assert np.array_equal(
        network.predict_proba(digits[0].images[:count]), whole[:count]
    ) or np.allclose(network.predict_proba(digits[0].images[:count]), whole[:count], rtol=1e-5)
    result = network.evaluate(digits[0][:count])
    assert result["total"] == count
    assert result["correct"] == (whole[:count].argmax(axis=1) == digits[0].labels[:count]).sum()
    assert result["accuracy"] == result["correct"] / count


def test_parameters_are_copies_and_come_back():
    network, other = small(seed=1), small(seed=2)
    parameters = network.parameters()
    parameters[0]["weights"][...] = 9
    assert not (network.parameters()[0]["weights"] == 9).any()
    other.set_parameters(network.parameters())
    images = np.random.default_rng(0).uniform(size=(3, 2, 8, 8))
    assert np.array_equal(network.predict_proba(images), other.predict_proba(images))


@pytest.mark.parametrize("wrong", ["count", "keys", "shape", "nan", "text"])
def test_wrong_parameters_change_nothing(wrong):
    network = small()
    before = network.engine.parameters.copy()
    given = network.parameters()
    given[0]["weights"][...] = 5
    if wrong == "count":
        given.pop()
    elif wrong == "keys":
        given[1]["bias"] = given[1].pop("biases")
    elif wrong == "shape":
        given[2]["weights"] = given[2]["weights"].T
    elif wrong == "nan":
        given[2]["biases"][0] = np.nan
    else:
        given[2]["biases"] = ["a"] * 4
    with pytest.raises(SettingError, match="expected"):
        network.set_parameters(given)
    assert np.array_equal(network.engine.parameters, before)


def test_seeds_and_initialisers():
    assert np.array_equal(small(seed=1).engine.parameters, small(seed=1).engine.parameters)
    assert not np.array_equal(small(seed=1).engine.parameters, small(seed=2).engine.parameters)
    for name, deviation in (("default", 784**-0.5), ("large", 1), ("glorot", (2 / 1184) ** 0.5),
                            ("he", (2 / 784) ** 0.5), ("book3", 400**-0.5)):  # fmt: skip
        weights = Network([784, 400, 10], initialiser=name).parameters()[0]["weights"]
        assert weights.std() == pytest.approx(deviation, rel=0.01), name
    conv, _, softmax = Network(
        [Conv2D(400, 5), MaxPool2D(2), Dense(5), Softmax(10)], (1, 28, 28), initialiser="book3"
    ).parameters()
    assert conv["weights"].std() == pytest.approx((400 * 25 / 4) ** -0.5, rel=0.03)
    assert not softmax["weights"].any()
    assert not softmax["biases"].any()


IMAGE = (1, 8, 8)
REFUSED = {
    "kernel larger than the image": (
        lambda: Network([Conv2D(2, 9), Softmax(3)], IMAGE),
        "9x9 kernel does not fit its 8x8 input",
    ),
    "channels last": (
        lambda: Network([Conv2D(2, 3), Softmax(3)], (28, 20, 1)),
        "use a smaller kernel or more padding; channels come first: (1, 28, 20)",
    ),
    "colours last": (
        lambda: Network([MaxPool2D(4), Softmax(3)], (28, 20, 3)),
        "use a smaller one; channels come first: (3, 28, 20)",
    ),
    "a set of numbers": (lambda: Network([64, 10], {64}), "a part of input_shape is {64}"),
    "fractions of numbers": (
        lambda: Network([Softmax(3)], np.array([1.0, 8.0, 8.0])),
        "a part of input_shape is 1.0",
    ),
    "pooling larger than the map": (
        lambda: Network([Conv2D(2, 5), MaxPool2D(5), Softmax(3)], IMAGE),
        "5x5 pooling window",
    ),
    "a slope that is none": (lambda: Dense(3, activation="leaky_relu:x"), "leaky_relu[:SLOPE]"),
    "a slope of 1": (lambda: Dense(3, activation="leaky_relu:1"), "the slope of"),
    "a negative slope": (lambda: Dense(3, activation="leaky_relu:-0.1"), "the slope of"),
    "a parameter too many": (lambda: Dense(3, activation="relu:1"), "leaky_relu[:SLOPE]"),
    "zero filters": (lambda: Conv2D(0, 3), "Conv2D filters is 0"),
    "negative kernel": (lambda: Conv2D(2, -3), "Conv2D kernel is -3"),
    "zero stride": (lambda: Conv2D(2, 3, stride=0), "Conv2D stride is 0"),
    "negative padding": (lambda: Conv2D(2, 3, padding=-1), "Conv2D padding is -1"),
    "three sides": (lambda: Conv2D(2, (3, 3, 3)), "pair"),
    "fractional size": (lambda: MaxPool2D(2.5), "MaxPool2D size is 2.5"),
    "zero neurons": (lambda: Dense(0), "Dense neurons is 0"),
    "huge": (lambda: Dense(2**40), "at most"),
    "true": (lambda: Dense(True), "Dense neurons is True"),
    "unknown activation": (lambda: Dense(3, activation="none"), "sigmoid, tanh, relu, linear"),
    "dropout 1": (lambda: Dense(3, dropout=1.0), "Dense dropout is 1.0"),
    "dropout scaling": (
        lambda: Dense(3, dropout_scaling="test"),
        "Dense dropout_scaling is 'test'",
    ),
    "dropout NaN": (lambda: Softmax(3, dropout=float("nan")), "Softmax dropout is nan"),
    "no layers": (lambda: Network([], IMAGE), "list of layers"),
    "one size": (lambda: Network([784]), "at least one layer"),
    "a text": (lambda: Network("784-30-10"), "list of layers"),
    "a mixture": (lambda: Network([Dense(3), 10], IMAGE), "layer 2 is 10"),
    "no input shape": (lambda: Network([Dense(3)]), "input_shape was not given"),
    "two-part input shape": (lambda: Network([Dense(3)], (8, 8)), "input_shape"),
    "zero in the input shape": (lambda: Network([Dense(3)], (1, 0, 8)), "input_shape is 0"),
    "shorthand with another input": (lambda: Network([784, 10], (1, 8, 8)), "expected 784 inputs"),
    "convolution of neurons": (
        lambda: Network([Dense(64), Conv2D(2, 3), Softmax(3)], IMAGE),
        "64 neurons",
    ),
    "convolution of flat input": (
        lambda: Network([Conv2D(2, 3), Softmax(3)], (64,)),
        "layer 1, 2C3",
    ),
    "convolution at the end": (lambda: Network([Conv2D(2, 3)], IMAGE), "last layer is 2C3"),
    "cost and layer 1": (
        lambda: Network([Softmax(3)], IMAGE, cost="cross-entropy"),
        "cross-entropy behind a sigmoid",
    ),
    "cost and layer 2": (
        lambda: Network([Dense(3)], IMAGE, cost="log-likelihood"),
        "expected log-likelihood behind Softmax",
    ),
    "cost and layer 3": (
        lambda: Network([Dense(3, "relu")], IMAGE, cost="cross-entropy"),
        "Dense with activation relu",
    ),
    "unknown cost": (lambda: Network([Dense(3)], IMAGE, cost="hinge"), "cost is 'hinge'"),
    "unknown initialiser": (
        lambda: Network([3, 2], initialiser="ones"),
        "default, large, glorot, he, book3",
    ),
    "unknown dtype": (lambda: Network([3, 2], dtype="float16"), "float32, float64"),
    "negative seed": (lambda: Network([3, 2], seed=-1), "seed is -1"),
    "unknown backend": (lambda: Network([3, 2], backend="tpu"), "auto, cpu, cuda"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_networks_that_cannot_be(name):
    make, message = REFUSED[name]
    with pytest.raises(SettingError) as refused:
        make()
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert (
        "expected" in str(refused.value).lower()
        or "use a smaller" in str(refused.value)
        or "put it before" in str(refused.value)
    )


@pytest.mark.parametrize("shape", [np.array([1, 3, 4]), [1, 3, 4], np.array([12]), np.int64(12)])
def test_an_input_shape_in_any_form(shape):
    for layers in ([Dense(5), Softmax(2)], [12, 5, 2]):
        network = Network(layers, shape)
        assert network.input_shape in ((1, 3, 4), (12,))
        assert {type(size) for size in network.input_shape} == {int}


def test_cuda_is_an_error_where_it_is_not():
    with pytest.raises(nbconv.BackendError, match="cuda"):
        Network([3, 2], backend="cuda")
    network = Network([3, 2])
    with pytest.raises(nbconv.BackendError, match="cuda"):
        network.to("cuda")
    assert network.to("cpu") is network
    assert network.backend == "cpu"


def test_data_that_does_not_fit(digits):
    network = Network([Conv2D(3, 3), Softmax(5)], (1, 8, 8))
    with pytest.raises(nbconv.DataError, match=r"1x8x8.*expected|expected 1x8x8"):
        network.predict(np.zeros((3, 1, 9, 8)))
    with pytest.raises(nbconv.DataError, match="largest label is 9 and the network has 5 classes"):
        network.evaluate(digits[0])
    with pytest.raises(nbconv.DataError, match="expected a Dataset"):
        network.evaluate(digits[0].images)
    with pytest.raises(nbconv.DataError, match="image 1 has pixels that are NaN or infinite"):
        network.predict(np.array([np.zeros(64), np.full(64, np.nan)]))
    with pytest.raises(nbconv.DataError, match="at least one image"):
        network.predict(np.zeros((0, 64)))
    with pytest.raises(nbconv.DataError, match="dtype"):
        network.predict(np.zeros((1, 64), complex))
    with pytest.raises(nbconv.DataError, match="2 labels were given for 3 images"):
        network.gradients(np.zeros((3, 64)), [0, 1])


def test_dtypes_by_name_and_by_numpy():
    assert (
        Network([3, 2], dtype=np.float64).dtype
        == Network([3, 2], dtype="float64").dtype
        == "float64"
    )
    assert Network([3, 2], dtype=np.float64).predict_proba(np.zeros((1, 3))).dtype == np.float64
    assert Network([3, 2]).predict_proba(np.zeros((1, 3))).dtype == np.float32


def test_layers_can_be_used_in_many_networks():
    first, second = (Network(DESIGN, (1, 28, 28), seed=0) for _ in range(2))
    images = np.random.default_rng(0).uniform(size=(3, 784))
    before = second.predict_proba(images)
    first.fit(nbconv.Dataset(images, [1, 2, 3]), epochs=3, mini_batch_size=3, eta=0.1)
    assert np.array_equal(second.predict_proba(images), before)


def test_predict_and_evaluate_agree_where_activations_are_equal():
    """Behind a ReLU layer all z < 0 have the activation 0: both look at z."""
    network = Network([Dense(4, activation="relu")], (3,))
    network.set_parameters([{"weights": np.zeros((4, 3)), "biases": [-3, -1, -2, -4]}])
    images = np.zeros((2, 3))
    assert network.predict(images).tolist() == [1, 1]
    assert network.evaluate(nbconv.Dataset(images, [1, 0]))["correct"] == 1


def test_softmax_is_the_last_layer_alone():
    with pytest.raises(
        SettingError, match="layer 1 of 2 is Softmax: expected it only as the last layer"
    ):
        Network([Softmax(20), Dense(10)], 64)


def test_two_threads_may_use_one_network(digits):
    import threading

    network = Network([Conv2D(8, 3), MaxPool2D(2), Dense(30), Softmax(10)], (1, 8, 8))
    parts = [np.asarray(digits[0].images[first : first + 50]) for first in (0, 50)]
    right = [network.predict_proba(part) for part in parts]
    wrong = []

    def use(part, expected):
        for _ in range(100):
            if not np.array_equal(network.predict_proba(part), expected):
                wrong.append(1)

    threads = [threading.Thread(target=use, args=pair) for pair in zip(parts, right, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    "value", [[[1, 2], [3]], None, np.full((4, 5), 1e300), np.full((4, 5), np.inf)]
)
def test_parameters_must_be_finite_arrays_of_the_dtype(value):
    network = small()
    given = network.parameters()
    given[2]["weights"] = value
    with pytest.raises(SettingError, match="parameters 2: weights"):
        network.set_parameters(given)
    for nonsense in (None, [1, 2, 3], 5):
        with pytest.raises(SettingError, match="expected"):
            network.set_parameters(nonsense)


def test_gradients_need_labels():
    with pytest.raises(nbconv.DataError, match="labels"):
        small().gradients(np.zeros((2, 2, 8, 8)), None)


def test_a_dataset_in_the_place_of_images(digits):
    network = Network([64, 10])
    for use in (network.predict, network.predict_proba, network.activations):
        with pytest.raises(nbconv.DataError) as refused:
            use(digits[0])
        line = "images are a Dataset: expected its images; pass dataset.images"
        assert str(refused.value) == line


def test_what_is_no_path(digits):
    network = Network([64, 10])
    with pytest.raises(SettingError, match=r"^checkpoint is True: expected a path, such as 'run"):
        network.fit(digits[0], 1, 10, checkpoint=True)
    for use in (Network.load, network.save, network.export):
        with pytest.raises(SettingError, match=r"^path is 3: expected a path, such as 'run.h5'$"):
            use(3)
    for use in (nbconv.Ensemble.load, nbconv.Ensemble([network]).save):
        with pytest.raises(SettingError, match=r"^folder is 3: expected a path"):
            use(3)


def test_images_and_labels_in_the_place_of_a_dataset():
    with pytest.raises(nbconv.DataError, match=r"^train is a ndarray: expected a Dataset, such as"):
        Network([64, 10]).fit(np.zeros((2000, 64)), np.arange(2000) % 10, 1, 10)


def test_checked_labels_stay_as_they_are(digits):
    with pytest.raises(ValueError, match="read-only"):
        digits[0].labels[0] = 99


def test_rows_of_pixels_are_pictures_for_every_use():
    """A network of feature maps sees the same in both, also where layers are looked at."""
    layers = [Conv2D(2, 3, activation="relu"), MaxPool2D(2), Softmax(3)]
    net = Network(layers, (2, 6, 6), seed=1)
    x = np.random.default_rng(0).random((7, 2, 6, 6), np.float32)
    rows = x.reshape(7, -1)
    for (_, ours), (_, right) in zip(net.activations(rows), net.activations(x), strict=True):
        assert np.array_equal(ours, right)
    labels = np.arange(7) % 3
    assert net.monitor(Dataset(rows, labels)) == net.monitor(Dataset(x, labels))
    assert np.array_equal(net.predict_proba(rows), net.predict_proba(x))


def coloured(rows, columns, count=30):
    """Pictures of three colours, which are their classes, as (images, labels)."""
    x = np.random.default_rng(0).random((count, 3, rows, columns), np.float32) * 0.4
    labels = np.arange(count) % 3
    x[np.arange(count), labels] += 0.5
    return x, labels


@pytest.mark.parametrize("size", [(8, 8), (8, 6)])
def test_a_dense_network_remembers_its_pictures(tmp_path, size):
    """Their shape, also in its file: pixels alone could be a square or a row."""
    x, labels = coloured(*size)
    net = Network([3 * size[0] * size[1], 20, 3], seed=1)
    net.fit(Dataset(x, labels), 20, 5, 0.5)
    net.save(tmp_path / "run.h5")
    for one in (net, Network.load(tmp_path / "run.h5")):
        assert one.picture_shape == (3, *size)
        pictures = list(np.round(255 * x).astype(np.uint8).transpose(0, 2, 3, 1))
        assert np.array_equal(one.predict(one.prepare(pictures)), labels)
        right = one.predict_proba(x)
        assert np.array_equal(one.predict_proba(x.transpose(0, 2, 3, 1)), right)
        assert np.array_equal(one.predict_proba(x[1]), right[1:2])


def test_a_trained_network_keeps_its_classes(caplog):
    x, labels = coloured(4, 4)
    names = np.array(["cat", "dog", "eel"])[labels]
    net = Network([Conv2D(2, 3), Softmax(3)], (3, 4, 4))
    net.fit(Dataset(x, names), 1, 10, 0.1)
    with pytest.raises(nbconv.DataError, match="train: the classes are dog, eel, and the"):
        net.fit(Dataset(x[:20], ["dog", "eel"] * 10), 1, 10, 0.1)
    net.fit(Dataset(x, labels), 1, 10, 0.1)
    assert net.class_names == ("cat", "dog", "eel")
    numbered = Network([Conv2D(2, 3), Softmax(10)], (3, 4, 4))
    numbered.fit(Dataset(x, labels), 1, 10, 0.1)
    own = Dataset(x[:2], [0, 1], class_names=("3", "7"))
    with pytest.raises(nbconv.DataError, match="the classes are 3, 7, and the network's 0, 1, 2"):
        numbered.evaluate(own)
    assert own.numbered([str(k) for k in range(10)]).labels.tolist() == [3, 7]
    assert own.numbered(["a", "3"]) is own
    bare = Dataset(x[:2], [1, 3])
    assert bare.numbered(["1", "2", "3"]).labels.tolist() == [0, 2]
    assert bare.numbered(["0", "1", "2", "3"]) is bare
    assert bare.numbered(["a", "b", "c"]) is bare
    net.evaluate(Dataset(x, labels))
    assert "labels 0, 1, ... are taken for the classes cat, dog, eel" in caplog.text
    caplog.clear()
    numbered.evaluate(Dataset(x, names))
    assert "have no names, and cat, dog, eel are taken for 0 to 2" in caplog.text


def test_values_that_were_divided_twice_are_told(digits, caplog):
    train, _, test = digits
    net = Network([64, 10])
    net.fit(train, 1, 10, 0.1)
    net.predict(test.images[:100])
    net.predict(np.zeros((100, 64)))
    assert not caplog.text
    net.predict(test.images[:100] / 255)
    assert "image values go to 0.00392, and 1 is white: were they divided by 255 twice?" in (
        caplog.text
    )
    caplog.clear()
    Dataset(train.images[:20] / 255, train.labels[:20])
    assert "divided by 255 twice?" in caplog.text


def test_names_of_the_validation_s_classes(digits, caplog):
    """They count as those of data to be evaluated."""
    train, validation, _ = digits
    some = np.isin(validation.labels, [3, 7])
    images, labels = validation.images[:][some], validation.labels[some]
    named = Dataset(images, labels.astype(str), class_names=("3", "7"))
    with pytest.raises(nbconv.DataError, match="validation: the classes are 3, 7, and the"):
        Network([64, 10]).fit(train, 1, 10, 0.1, validation=named)
    letters = Dataset(train.images[:], [f"c{9 - k}" for k in train.labels])
    Network([64, 10]).fit(letters, 1, 10, 0.1, validation=validation)
    assert "validation: labels 0, 1, ... are taken for the classes c0, c1" in caplog.text


def test_levels_unlike_those_of_the_training_are_told(caplog):
    """A part of the images that happens to be dark is divided by another number."""
    levels = np.arange(16).repeat(4).reshape(-1, 1, 2, 2)
    net = Network([4, 2])
    net.fit(Dataset(levels, np.arange(16) % 2), 1, 4, 0.1)
    caplog.clear()
    net.evaluate(Dataset(levels[:2], [0, 1]))
    assert "divided by 1, and those of the training images were by 15" in caplog.text
    caplog.clear()
    net.evaluate(Dataset(levels, np.arange(16) % 2).select(np.arange(2)))
    assert "training images were by" not in caplog.text


def test_a_row_of_features_is_no_picture_to_invert():
    x = np.linspace(0, 0.3, 70).reshape(10, 7)
    net = Network([7, 2])
    net.fit(Dataset(x, np.arange(10) % 2), 1, 5, 0.1)
    np.testing.assert_allclose(net.prepare([1 - x[:1]])[0, 0], 1 - x[:1], rtol=1e-6)


def test_the_first_answer_is_the_networks():
    """Of saturated activations, which are equal, the one with the largest z."""
    net = Network([4, 3])
    biases = np.array([20.0, 30.0, -1.0])
    net.set_parameters([{"weights": np.zeros((3, 4)), "biases": biases}])
    outputs = net.predict_proba(np.zeros((1, 4)))[0]
    answer = Answer("a", int(net.predict(np.zeros((1, 4)))[0]), outputs, [], "")
    assert [label for label, _ in answer.best(3)] == [1, 0, 2]
