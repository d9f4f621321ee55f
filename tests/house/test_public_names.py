"""What a module offers."""

from __future__ import annotations

import ast
import importlib


def _exported(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            return ast.literal_eval(node.value)
    return None


def _public(tree: ast.Module) -> set[str]:
    """What a package's `__init__` imports, and what any module defines, without an underscore."""
    found: set[str] = set()
    for node in tree.body:
        inner = node.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" else [node]
        for each in inner:
            if isinstance(each, ast.ImportFrom) and (each.module or "").startswith("fairlead"):
                found |= {alias.asname or alias.name for alias in each.names}
            elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(each.name)
            elif isinstance(each, ast.Assign | ast.AnnAssign):
                targets = each.targets if isinstance(each, ast.Assign) else [each.target]
                found |= {ast.unparse(target) for target in targets}
    return {name for name in found if not name.startswith("_")}


def test_all_is_sorted(sources):
    """`__all__` stands in one order, so that two changes to it meet."""
    lists = {source.name: _exported(source.tree) for source in sources}
    assert {name: names for name, names in lists.items() if names is not None and names != sorted(names)} == {}


def test_a_package_exports_what_its_init_imports(sources):
    """`__all__` of an `__init__` is exactly its public names, all of which exist."""
    for source in sources:
        names = _exported(source.tree)
        if names is not None and source.name.endswith("__init__.py"):
            module = importlib.import_module(source.module)
            assert [name for name in names if not hasattr(module, name)] == [], source.name
            assert set(names) <= _public(source.tree), source.name


def test_a_module_that_says_all_names_all(sources):
    """Outside of an `__init__`, `__all__` equals what the module defines."""
    for source in sources:
        names = _exported(source.tree)
        if names is not None and not source.name.endswith("__init__.py"):
            assert set(names) == _public(source.tree), source.name


def test_no_dumping_grounds(sources):
    """A module is named for what it holds."""
    stems = {source.path.stem for source in sources}
    assert stems & {"utils", "util", "helpers", "helper", "misc", "common", "manager", "base"} == set()
