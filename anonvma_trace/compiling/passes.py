"""What numba does to a function on its way to LLVM: the steps that ours need, each done once.

numba's own list has two dozen more, for closures, inlining, parallel loops, reference counts, Python objects and
debuggers, and works out anew after most of them which variable lives where. They made two fifths of the time to
compile the core. None changes what is computed. What functions may not contain for want of them (closures,
comprehensions, `raise`, `with`) is refused when they are compiled.

Uses numba's internals, hence the bounded range of its versions in pyproject.toml.
"""

from __future__ import annotations

import contextlib
from operator import getitem, setitem
from typing import Any, ClassVar

from numba.core import cgutils, ir_utils, transforms, types
from numba.core.errors import LoweringError, NumbaError
from numba.core.interpreter import Interpreter
from numba.core.lowering import Lower
from numba.core.postproc import VariableLifetime
from numba.core.ssa import reconstruct_ssa
from numba.core.typed_passes import NativeLowering, NoPythonBackend, PreLowerStripPhis
from numba.core.typeinfer import TypeInferer
from numba.core.utils import OPERATORS_TO_BUILTINS
from numba.np.arrayobj import fix_integer_index

from .code_cache import BOUNDSCHECK


def _order_blocks(state: Any) -> None:
    state.func_ir.blocks = transforms.canonicalize_cfg(state.func_ir.blocks)
    state.func_ir.variable_lifetime = VariableLifetime(state.func_ir.blocks)


def _assign_once(state: Any) -> None:
    state.func_ir = reconstruct_ssa(state.func_ir)
    state.func_ir._definitions = ir_utils.build_definitions(state.func_ir.blocks)


def _assign_where_paths_meet(state: Any) -> None:
    """Undo `_assign_once` where a variable has one of several values: an assignment on each path."""
    state.func_ir = PreLowerStripPhis()._strip_phi_nodes(state.func_ir)


class _Interpreter(Interpreter):
    """numba's, without what rewrites `with`, `try`, lists and dicts."""

    def post_process(self, peepholes: Any, func_ir: Any) -> Any:
        return func_ir


def _read_bytecode(state: Any) -> None:
    state.func_ir = _Interpreter(state.func_id).interpret(state.bc)
    state.nargs = state.func_ir.arg_count


_signatures: dict[tuple[Any, ...], tuple[Any, Any]] = {}


def _signature(typing: Any, function: types.Function, arguments: tuple[types.Type, ...]) -> Any:
    """Return the signature of a function of numba's for these arguments.

    numba goes through some thirty ways of reading an operator, every time that it meets one.
    """
    if function.typing_key in _OPERATORS:
        arguments = tuple(types.unliteral(each) if isinstance(each, _NUMBER) else each for each in arguments)
    key = id(function), arguments
    if key not in _signatures:
        _signatures[key] = function, function.get_call_type(typing, arguments, {})  # its id stays its own
    return _signatures[key][1]


_NUMBER = (types.Number, types.Boolean)
_OPERATORS = frozenset(OPERATORS_TO_BUILTINS)


class _TypeInferer(TypeInferer):
    """numba's, which asks once what a function of numba's returns for arguments of these types."""

    def resolve_call(self, function: Any, arguments: Any, named: Any) -> Any:
        if isinstance(function, types.Function) and not named:
            return _signature(self.context, function, arguments)
        return super().resolve_call(function, arguments, named)


class _Warnings:
    """Stands for what would collect warnings around each step of finding types: they are shown as they come."""

    def catch_warnings(self, filename: str | None = None, lineno: int | None = None) -> Any:
        return _NOTHING


_NOTHING = contextlib.nullcontext()


def _find_types(state: Any) -> None:
    infer = _TypeInferer(state.typingctx, state.func_ir, _Warnings())
    with state.typingctx.callstack.register(state.targetctx.target, infer, state.func_id, state.args):
        for place, (name, kind) in enumerate(zip(state.func_ir.arg_names, state.args, strict=True)):
            infer.seed_argument(name, place, kind)
        infer.build_constraint()
        infer.propagate()
        state.typemap, state.return_type, state.calltypes = infer.unify()


def _parts(index: Any) -> tuple[types.Type, ...]:
    return tuple(index.types) if isinstance(index, types.UniTuple | types.Tuple) else (index,)


def _is_one_item(array: types.Type, index: types.Type) -> bool:
    """Tell whether an index chooses one number of a contiguous array, and no bounds are checked."""
    if not isinstance(array, types.Array) or array.layout not in "CF" or not array.aligned or BOUNDSCHECK:
        return False
    kinds = _parts(index)
    return len(kinds) == array.ndim and all(isinstance(each, types.Integer) for each in (array.dtype, *kinds))


_fields: dict[tuple[types.Type, str], tuple[Any, types.Type]] = {}  # how each is read, and its type


class _Lower(Lower):
    """numba's, without what it does for debuggers, and for errors that do not happen."""

    def lower_block(self, block: Any) -> None:
        self.pre_block(block)
        for instruction in block.body:
            self.loc = instruction.loc
            try:
                self.lower_inst(instruction)
            except NumbaError:
                raise
            except Exception as error:
                raise LoweringError(f"{instruction}: {error}", loc=instruction.loc) from error
        self.post_block(block)

    def lower_binop(self, result: types.Type, expression: Any, operator: Any) -> Any:
        signature = self.fndesc.calltypes[expression]
        return self._operate(operator, signature, (expression.lhs, expression.rhs), result)

    def lower_expr(self, result: types.Type, expression: Any) -> Any:
        if expression.op != "getattr":
            return super().lower_expr(result, expression)
        kind, field = self.typeof(expression.value.name), expression.attr
        if isinstance(kind, types.Module) or isinstance(result, types.BoundFunction):
            return super().lower_expr(result, expression)
        if (kind, field) not in _fields:
            found = self.context.typing_context.resolve_getattr(kind, field)
            _fields[kind, field] = self.context.get_getattr(kind, field), found
        read, found = _fields[kind, field]
        value = read(self.context, self.builder, kind, self.loadvar(expression.value.name), field)
        return self.context.cast(self.builder, value, found, result)

    def lower_getitem(
        self, result: types.Type, expression: Any, value: Any, index: Any, signature: Any
    ) -> Any:
        array = signature.args[0]
        if not _is_one_item(*signature.args[:2]):
            return self._operate(getitem, signature, (value, index), result)
        item = self.context.unpack_value(self.builder, array.dtype, self._item(signature, value, index))
        return self.context.cast(self.builder, item, array.dtype, result)

    def lower_setitem(self, target: Any, index: Any, value: Any, signature: Any) -> Any:
        array = signature.args[0]
        if not _is_one_item(*signature.args[:2]):
            return self._operate(setitem, signature, (target, index, value), types.none)
        given = signature.args[2]
        stored = self.context.cast(self.builder, self.loadvar(value.name), self.typeof(value.name), given)
        stored = self.context.cast(self.builder, stored, given, array.dtype)
        self.context.pack_value(self.builder, array.dtype, stored, self._item(signature, target, index))
        return self.context.get_dummy_value()

    def _item(self, signature: Any, variable: Any, index: Any) -> Any:
        """Return the address of an item: numba's arithmetic, without its three copies of the array's seven words."""
        array, kind = signature.args[:2]
        builder, words = self.builder, self.loadvar(variable.name)
        model = self.context.data_model_manager[array]
        data, shape = (
            builder.extract_value(words, model.get_field_position(each)) for each in ("data", "shape")
        )
        sizes = [builder.extract_value(shape, axis) for axis in range(array.ndim)]
        at = self.context.cast(builder, self.loadvar(index.name), self.typeof(index.name), kind)
        places = cgutils.unpack_tuple(builder, at) if isinstance(kind, types.BaseTuple) else (at,)
        inside = [
            fix_integer_index(self.context, builder, types.unliteral(each), place, size)
            for each, place, size in zip(_parts(kind), places, sizes, strict=True)
        ]
        return cgutils.get_item_pointer2(self.context, builder, data, sizes, (), array.layout, inside)

    def _operate(self, operator: Any, signature: Any, operands: tuple[Any, ...], result: types.Type) -> Any:
        typing = self.context.typing_context
        function = typing.resolve_value_type(operator)
        exact = _signature(typing, function, signature.args)
        values = [
            self.context.cast(self.builder, self.loadvar(operand.name), self.typeof(operand.name), wanted)
            for operand, wanted in zip(operands, signature.args, strict=True)
        ]
        value = self.context.get_function(function, exact)(self.builder, values)
        return self.context.cast(self.builder, value, signature.return_type, result)

    def storevar(self, value: Any, name: str, argidx: int | None = None) -> None:
        self._alloca_var(name, self.typeof(name))
        if name in self._singly_assigned_vars:
            self._blk_local_varmap[name] = value
        else:
            self.builder.store(value, self.getvar(name))

    def alloca_lltype(self, name: str, lltype: Any, datamodel: Any = None) -> Any:
        return cgutils.alloca_once(self.builder, lltype, name=name)


class _Lowering(NativeLowering):
    @property
    def lowering_class(self) -> type:
        return _Lower


class Passes:
    """All that is done to a function, as numba calls it."""

    pipeline_name = "kernel"
    exec_times: ClassVar[dict[str, Any]] = {}

    _steps = (
        _read_bytecode,
        _order_blocks,
        _assign_once,
        _find_types,
        _assign_where_paths_meet,
        _Lowering().run_pass,
        NoPythonBackend().run_pass,
    )

    def run(self, state: Any) -> None:
        """Take a function from bytecode to a module of LLVM: `state` goes in with one, and comes out with the other."""
        for step in self._steps:
            step(state)
