"""A graph of TensorFlow as StableHLO in a form that JAX loads."""
import dataclasses
import re
from typing import NamedTuple

from model.tf1 import eager_mode, tf
from utils.errors import UserError


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
