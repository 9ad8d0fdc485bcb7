"""Train the same graph where JAX runs and TensorFlow does not (CUDA 13, TPU).

    python -m utils.accelerate export --n_book=12 --seed=1 --out=runs     # here; any settings, any number of times
    python -m utils.accelerate export-pretraining --out=runs
    python runs/train.py                                                  # there, with jax, flatbuffers and numpy
    python -m utils.accelerate import runs/48bits-seed1 --out=models/48bits_example.ckpt
    python -m utils.accelerate import runs/pretraining_seed0 --out=models/CIFAR100_pretrained.mat

The training step of model/, augmentation, gradients, Adam and moving averages included, is lowered to StableHLO.
An exported run holds it (`step.jaxexport`), the initial weights, the images of every step, and what made it; the
images lie beside the runs. Nothing of the model is written twice, and the batches are those of train.py. With
eval_term set, an import judges the weights as train.py would at its end.
"""
import contextlib
import dataclasses
import hashlib
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic_settings import CliPositionalArg

from config import Config, Pretraining, from_command_line
from model.tf1 import eager_mode, tf
from utils import cells, checkpoints, errors, runs, tasks
from utils.errors import UserError


class Export(Config):
    """GPQ's settings, and where to write the run."""

    out: str
    """Folder of runs. A new run gets a folder in it."""


class ExportPretraining(Pretraining):
    """The pretraining's settings, and where to write the run."""

    out: str
    """Folder of runs. A new run gets a folder in it."""


class Import(Config):
    """A trained run, what to make of it, and any settings that it must have been made with."""

    run: CliPositionalArg[str]
    """Folder of a trained run, or of runs where there is only one."""

    out: str
    """Checkpoint to write, or .mat file of F in the release's form."""


TASKS = {"GPQ": (tasks.GPQ, Config), "Pretraining": (tasks.Pretraining, Pretraining)}


class Lowered(NamedTuple):
    """A step as JAX takes it: called with (*inputs, *state), it returns (*watched, *updated)."""

    exported: bytes  # serialised jax.export.Exported
    state: list[str]  # names of the variables that follow the inputs
    updated: list[int]  # for each result after the watched, the place in `state` that it is the new value of


def lower(build, specs):
    """Lower a graph to StableHLO. `build(*inputs)` makes it in graph mode, under resource variables, and returns the
    tensors to watch; `specs` are the TensorSpecs of its inputs, of static shapes. Returns `Lowered`.
    """
    with eager_mode():
        wrapped = tf.wrap_function(build, specs)
        step = tf.function(lambda *inputs: wrapped(*inputs), jit_compile=True)
        handles = step.get_concrete_function(*specs).captured_inputs
        by_handle = {id(variable.handle): variable for variable in wrapped.graph.get_collection("variables")}
        state = [by_handle[id(handle)] for handle in handles]
        compiler_ir = step.experimental_get_compiler_ir(*(tf.zeros(spec.shape, spec.dtype) for spec in specs))
        text, header = compiler_ir(stage="stablehlo"), compiler_ir(stage="hlo").split("\n", 1)[0]
    # XLA says which argument each result may overwrite; those are the updated variables.
    aliases = {int(result or 0): int(argument) - len(specs)
               for result, argument in re.findall(r"\{(\d*)\}: \((\d+), \{\}", header)}
    watched = [(tuple(tensor.shape.as_list()), tensor.dtype.as_numpy_dtype)
               for tensor in tf.nest.flatten(wrapped.structured_outputs)]
    updated = [aliases[len(watched) + k] for k in range(len(aliases))]
    shapes = [(tuple(tensor.shape.as_list()), tensor.dtype.as_numpy_dtype) for tensor in (*specs, *state)]
    results = [*watched, *(shapes[len(specs) + place] for place in updated)]
    return Lowered(_as_jax(text, shapes, results), [variable.name.removesuffix(":0") for variable in state], updated)


def _as_jax(text, arguments, results):
    """A StableHLO module's text as a serialised jax.export.Exported; arguments, results: (shape, dtype) each.

    JAX exports a stand-in of the same signature, and the module takes the place of the stand-in's body.
    """
    try:
        import jax.export
        from jax._src.interpreters.mlir import make_ir_context
        from jaxlib.mlir import ir
        from jaxlib.mlir.dialects import stablehlo
    except ImportError as error:
        raise UserError(f"lowering to StableHLO needs JAX ({error}); pip install -r requirements-accelerate.txt"
                        ) from error
    jax.config.update("jax_enable_x64", True)  # the step's number is int64
    # The one operation that XLA's bridge leaves outside StableHLO; a conversion to the same type copies as well.
    text = re.sub(r"mhlo\.copy (%\S+)(?: \{[^}]*\})? : (tensor<[^>]*>)", r"stablehlo.convert \1 : \2", text)
    with make_ir_context():
        module = stablehlo.serialize_portable_artifact(ir.Module.parse(text), stablehlo.get_minimum_version())

    def stand_in(*inputs):
        return tuple(jax.numpy.zeros(shape, dtype) for shape, dtype in results)

    # Nothing in the module belongs to a platform, so any may run it.
    exported = jax.export.export(jax.jit(stand_in), platforms=["cpu"],
                                 disabled_checks=[jax.export.DisabledSafetyCheck.platform()])(
        *(jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in arguments))
    exported = dataclasses.replace(exported, mlir_module_serialized=module,
                                   module_kept_var_idx=tuple(range(len(arguments))))
    return bytes(exported.serialize())


def export(task, name, folder, config):
    """Write the training of `task` (of utils.tasks) as the run `name` of the folder of runs `folder`. Returns its path.

    Raises UserError where the run is there already, the folder holds another train.py or cannot be written, or JAX
    is not installed.
    """
    run = Path(folder) / name
    script = run.parent / "train.py"
    if run.exists():
        raise UserError(f"{run} is there already; remove it, or set another --out")
    if script.exists() and not list(run.parent.glob("*/about.json")):
        raise UserError(f"{script} is not of exported runs, and would be replaced; set another --out")
    watched = []

    def build(images, labels, indices, number):
        graph = task.graph(tf.gather(images, indices), tf.gather(labels, indices), number)
        watched[:] = [*graph.losses._fields, "learning_rate"]
        with tf.control_dependencies([graph.step]):
            return [tf.identity(value) for value in (*graph.losses, graph.learning_rate)]

    specs = [tf.TensorSpec(task.images.shape, tf.uint8), tf.TensorSpec(task.labels.shape, tf.int32),
             tf.TensorSpec([task.n_batches, task.batch_size], tf.int32), tf.TensorSpec([], tf.int32)]
    lowered = lower(build, specs)
    with tf.Graph().as_default(), runs.session(config) as session:
        tf.set_random_seed(config.seed)
        tasks.build(task)
        session.run(tf.global_variables_initializer())
        initial = runs.initialise(session, config)
        values = session.run({variable.op.name: variable for variable in tf.global_variables()})

    images = f"images-{hashlib.sha256(task.images.tobytes()).hexdigest()[:12]}.npy"
    beside = runs.Progress(task.n_steps, initial=initial, losses=watched[:-1]).about(config, task)
    about = {"images": images, "watched": watched, "state": lowered.state, "updated": lowered.updated,
             "task": type(task).__name__, "beside": beside}  # beside: what lies beside the checkpoint at the end
    indices = np.stack([task.indices(number) for number in range(task.n_steps)])
    try:
        run.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=run.parent) as scratch:
            unfinished = Path(scratch) / name
            unfinished.mkdir()
            (unfinished / "step.jaxexport").write_bytes(lowered.exported)
            (unfinished / "about.json").write_text(json.dumps(about, indent=1) + "\n")
            np.savez(unfinished / "initial.npz", **values)
            np.savez_compressed(unfinished / "plan.npz", labels=task.labels,
                                indices=indices.astype(np.min_scalar_type(len(task.images))))
            if not (run.parent / images).exists():
                np.save(Path(scratch) / images, task.images)
                (Path(scratch) / images).rename(run.parent / images)
            shutil.copyfile(Path(__file__).with_name("accelerated_train.py"), script)
            unfinished.rename(run)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); make room or set another --out") from error
    return run


def import_run(folder, out, named):
    """Make the checkpoint `out`, or the .mat file of F, of a run that was trained to its end.

    named: {setting: value} that the run must have been exported with. Raises UserError where the run was not, is
    absent, unfinished or damaged, or `out` cannot be written.
    """
    run, out = _only_run(Path(folder)), Path(out)
    damaged = f"{run} is damaged; fetch it again from where it was trained"
    try:
        about = json.loads((run / "about.json").read_text())
        beside = about["beside"]
        settings = runs.completed(beside["settings"], Config)
    except (ValueError, KeyError) as error:
        raise UserError(damaged) from error
    for name, value in named.items():
        exported = settings.get(name)
        if exported != value:
            raise UserError(f"{run} was exported with {name}={exported}, and {name}={value} is asked for; "
                            "name another run, or leave the setting out")
    if not (run / "trained.npz").exists():
        raise UserError(f"{run} is not trained to its end; run {run.parent / 'train.py'} and fetch what it wrote")
    try:
        with np.load(run / "trained.npz", allow_pickle=False) as file:
            values = dict(file)
        beside["seconds"] = round(float(values.pop("seconds")), 1)
        log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        beside["losses"] = {name: log[-1][name] for name in beside["losses"]}
        beside["device"] = log[-1]["device"]
        scalars = {line["step"]: {name: line[name] for name in (*beside["losses"], "learning_rate")} for line in log}
        del values["step"]
    except Exception as error:  # a damaged file can raise nearly anything
        raise UserError(damaged) from error
    if beside["settings"]["eval_term"]:
        beside["judged"] = _judged(run, about, values)
        scalars[beside["step"]][beside["measure"]] = beside["judged"]
    try:
        _save(values, out, beside)
        with contextlib.closing(tf.summary.FileWriter(str(out.parent / "logs" / out.stem))) as writer:
            for step, logged in scalars.items():
                runs.write_scalars(writer, step, **logged)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}); set another --out") from error


def _judged(run, about, values):
    """What the task of a run measures of its trained weights."""
    make, settings = TASKS[about["task"]]
    config = settings(**{name: value for name, value in about["beside"]["settings"].items()
                         if name in settings.model_fields})
    task = make(config)
    runs.check_data(run, about["beside"]["data"], task.source)
    with tf.Graph().as_default(), runs.session(config) as session:
        judge = task.judge(session)
        for variable in tf.global_variables():
            variable.load(values[variable.op.name], session)
        return judge()


def _save(values, out, about):
    """The weights among `values` as the checkpoint `out`, or F as the .mat file `out`; `about` beside either."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tf.Graph().as_default(), tf.Session() as session, tempfile.TemporaryDirectory() as scratch:
        weights = [tf.get_variable(name, initializer=values[name]) for name in filter(checkpoints.is_weight, values)]
        session.run(tf.global_variables_initializer())
        checkpoint = Path(scratch) / "F.ckpt" if out.suffix == ".mat" else out
        checkpoints.save(session, checkpoint, checkpoints.saver(weights), about)
        if out.suffix == ".mat":
            checkpoints.save_pretrained(checkpoint, out)
            shutil.copyfile(f"{checkpoint}.json", f"{out}.json")


def _only_run(folder):
    """`folder` itself where it is a run, else the one run in it."""
    if (folder / "about.json").exists():
        return folder
    found = sorted(file.parent for file in folder.glob("*/about.json"))
    if len(found) != 1:
        raise UserError(f"{folder} is no exported run" if not found else
                        f"{folder} holds the runs {', '.join(run.name for run in found)}; name one of them")
    return found[0]


def main():
    command, *arguments = sys.argv[1:] or [""]
    if command == "export":
        config = from_command_line(Export, arguments)
        name = cells.name({name: getattr(config, name) for name in Config.model_fields})
        print(export(tasks.GPQ(config), name, config.out, config))
    elif command == "export-pretraining":
        config = from_command_line(ExportPretraining, arguments)
        print(export(tasks.Pretraining(config), f"pretraining_seed{config.seed}", config.out, config))
    elif command == "import":
        config = from_command_line(Import, arguments)
        named = config.model_dump(mode="json", include=config.model_fields_set - {"run", "out"})
        import_run(config.run, config.out, named)
        print(f"{config.out} is made of {config.run}")
    else:
        raise UserError("say what to do: python -m utils.accelerate export, export-pretraining or import, each with "
                        "--help")


if __name__ == "__main__":
    errors.run(main)
