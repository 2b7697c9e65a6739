"""The names that settings choose from, here without NumPy for the command line."""

DTYPES = ("float32", "float64")
INITIALISERS = ("auto", "default", "large", "glorot", "he", "book3")
OPTIMISERS = ("sgd", "adam", "adamw")
DROPOUT_SCALINGS = ("inverted", "book")
SPLITS = ("train", "validation", "test", "all")  # the last: of data with one set
BACKENDS = ("auto", "cpu", "cuda", "reference")
DATASETS = (
    "digits", "mnist", "fashion-mnist", "kmnist", "qmnist", "emnist-balanced", "emnist-byclass",
    "emnist-bymerge", "emnist-digits", "emnist-letters", "emnist-mnist", "cifar10", "cifar100",
)  # fmt: skip
SCHEDULES = ("constant", "cosine", "one-cycle", "halve:10", "step:10:0.1")  # one of each kind

# What settings and options are called in other tools.
_ELSEWHERE = {
    "activation": "act activation_fn activation_function nonlinearity",
    "backend": "device gpu cuda accelerator use_cuda",
    "beta1": "beta_1 adam_beta1",
    "beta2": "beta_2 adam_beta2",
    "class_weights": "class_weight cw",
    "clip_norm": "clip grad_clip gradient_clip clip_grad max_norm max_grad_norm clipnorm",
    "data": "dataset data_dir data_path train_dir train_data input",
    "dropout": "dropout_rate drop drop_rate p_dropout",
    "dtype": "precision float_type",
    "epochs": "epoch num_epochs n_epochs max_epochs nepochs",
    "eta": "lr learning_rate learningrate alpha step_size learning_rate_init",
    "find_eta": "lr_find find_lr lr_finder auto_lr_find",
    "flip": "hflip horizontal_flip fliplr mirror",
    "initialiser": "init weight_init kernel_initializer",
    "lmbda": "lambda lmda wd weight_decay l2 reg regularization l2_reg",
    "lmbda_l1": "l1 l1_reg",
    "log": "logfile log_file jsonl",
    "mini_batch_size": "batch batch_size bs batchsize minibatch minibatch_size",
    "momentum": "mu",
    "net": "model arch architecture network layers",
    "optimiser": "opt optim solver",
    "out": "output output_dir save save_path checkpoint ckpt save_dir",
    "patience": "early_stopping early_stop n_iter_no_change",
    "resume": "resume_from resume_from_checkpoint restart",
    "rotate": "rotation degrees random_rotation",
    "schedule": "scheduler lr_scheduler lr_schedule sched lr_decay",
    "seed": "random_state random_seed manual_seed",
    "size": "img_size image_size imgsz resize",
    "threads": "workers num_workers n_jobs cpus num_threads",
    "warm_up": "warmup warmup_epochs",
}
SYNONYMS = {other: ours for ours, others in _ELSEWHERE.items() for other in others.split()}
