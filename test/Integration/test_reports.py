# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What reports and traces say: that it is true, and that it can be read.

test/Driver/report.test holds their options and errors.
"""

import itertools
import json
from html.parser import HTMLParser

import lutra
import numpy as np
import onnx
import pytest
from conftest import lutra_compile, run_tool
from onnx import TensorProto, helper

# The importer takes control characters in names of nodes and weights only.
EVIL = "<script>alert(1)</script>\"'&"
CONTROL = EVIL + "\n\x1b[31m"


def ceildiv(a, b):
    return -(-a // b)


def value(formula, sizes):
    return eval(str(formula), {"ceildiv": ceildiv, **sizes}) if formula is not None else None


@pytest.fixture(scope="module")
def digits_report(digits):
    return lutra.report(digits[0], mcpu="x86-64-v3", report_dim={"batch": 5})


def test_kernels_and_dispatches(digits_report):
    kernels, dispatches = digits_report["kernels"], digits_report["dispatches"]
    called = sorted(i for kernel in kernels for i in kernel["dispatches"])
    assert called == list(range(len(dispatches)))
    for kernel in kernels:
        for index in kernel["dispatches"]:
            dispatch = dispatches[index]
            assert dispatch["kernel"] == kernel["name"]
            # Of one kernel's calls only what they share has a formula.
            for field in ("flops", "bytes"):
                if kernel[field] is not None:
                    assert value(kernel[field], {"batch": 5}) == dispatch[field]


def test_flops_of_a_product(digits_report):
    (kernel,) = [k for k in digits_report["kernels"] if k["kind"] == "contraction"
                 and [loop["size"] for loop in k["loops"]] == ["batch", 64, 128]]  # fmt: skip
    # Multiply and add, then bias and relu.
    assert value(kernel["flops"], {"batch": 1}) == 2 * 64 * 128 + 2 * 64
    assert [loop["kind"] for loop in kernel["loops"]] == ["parallel", "parallel", "reduction"]


def test_memory_plan(digits, digits_report, tmp_path):
    tensors = [t for t in digits_report["tensors"] if t["place"] == "arena"]
    assert tensors
    for tensor in tensors:
        assert 0 <= tensor["offset"]
        assert tensor["offset"] + tensor["bytes"] <= digits_report["arena_bytes"]
        assert all(tensor["writer"] < reader for reader in tensor["readers"])
    for a, b in itertools.combinations(tensors, 2):
        lives = [(t["writer"], max(t["readers"] + [t["writer"]])) for t in (a, b)]
        apart_in_time = lives[0][1] < lives[1][0] or lives[1][1] < lives[0][0]
        apart_in_space = (a["offset"] + a["bytes"] <= b["offset"]
                          or b["offset"] + b["bytes"] <= a["offset"])  # fmt: skip
        assert apart_in_time or apart_in_space, (a, b)


def test_every_tensor_is_written_before_it_is_read(digits_report):
    for index, dispatch in enumerate(digits_report["dispatches"]):
        for tensor in dispatch["reads"]:
            tensor = digits_report["tensors"][tensor]
            assert index in tensor["readers"]
            assert tensor["place"] in ("input", "weight") or tensor["writer"] < index
        for tensor in dispatch["writes"]:
            assert digits_report["tensors"][tensor]["writer"] == index


def test_one_kernel_of_several_sizes(tmp_path):
    """What differs between calls of a kernel is not told of the kernel."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [dim])
              for name, dim in (("a", "n"), ("b", "m"))]  # fmt: skip
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
               for name in ("c", "d")]  # fmt: skip
    nodes = [helper.make_node("Exp", [x], [y], name=y) for x, y in (("a", "c"), ("b", "d"))]
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    report = lutra.report(model, report_dim={"n": 3, "m": 4})
    (kernel,) = report["kernels"]
    assert kernel["dispatches"] == [0, 1]
    assert kernel["loops"] == [{"size": None, "kind": "parallel"}]
    assert [d["bytes"] for d in report["dispatches"]] == [24, 32]


def test_formulas_stay_short():
    """Sizes that square from node to node have no formula."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = []
    for i in range(6):
        last = f"x{i - 1}" if i else "x"
        nodes += [helper.make_node("Concat", [last, last, "x"], [f"c{i}"], axis=0),
                  helper.make_node("Unsqueeze", [f"c{i}", "one"], [f"u{i}"]),
                  helper.make_node("Mul", [f"c{i}", f"u{i}"], [f"m{i}"]),
                  helper.make_node("Flatten", [f"m{i}"], [f"f{i}"], axis=0),
                  helper.make_node("Squeeze", [f"f{i}", "zero"], [f"x{i}"])]  # fmt: skip
    nodes.append(helper.make_node("Exp", ["x5"], ["y"]))
    constants = [helper.make_tensor(name, TensorProto.INT64, [1], [number])
                 for name, number in (("zero", 0), ("one", 1))]  # fmt: skip
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    kernels = lutra.report(model)["kernels"]
    assert kernels[0]["operands"][-1]["shape"] == ["3*n"]
    assert kernels[-1]["operands"][-1]["shape"] == [None]


def evil_model():
    x = helper.make_tensor_value_info("x" + EVIL, TensorProto.FLOAT, ["n" + EVIL, 4])
    y = helper.make_tensor_value_info("y" + EVIL, TensorProto.FLOAT, None)
    weight = np.arange(16, dtype=np.float32).reshape(4, 4)
    nodes = [helper.make_node("MatMul", [x.name, "w" + CONTROL], ["h"], name="fc" + CONTROL),
             helper.make_node("Softmax", ["h"], [y.name], name="</svg>" + CONTROL)]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [x], [y], [onnx.numpy_helper.from_array(weight, "w" + CONTROL)]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


class Page(HTMLParser):
    """The elements of a page; fails where they are not balanced."""

    VOID = {"meta"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.titles = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "title":
            self.titles.append(data)


def test_page(tmp_path):
    path, html = tmp_path / "evil.onnx", tmp_path / "evil.html"
    onnx.save(evil_model(), path)
    lutra_compile(path, "-o", tmp_path / "evil.so", f"--report=html:{html}")
    text = html.read_text()
    page = Page(text)
    names = [tag for tag, _ in page.tags]
    assert names.count("script") == 1, "only the page's own"
    assert names.count("svg") == 2
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;" in text
    assert "\x1b" not in text
    # Nothing is loaded, and nothing runs but the script at the end.
    for tag, attributes in page.tags:
        assert not {"src", "href"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
    assert "://" not in text
    rows = [a for tag, a in page.tags if tag == "div" and a.get("class") == "row"]
    report = lutra.report(path)
    assert len(rows) == len(report["dispatches"])
    kernels = text[text.index("<h2>Kernels"):]
    assert all(kernel["name"] in kernels for kernel in report["kernels"])


def check_nesting(events):
    """Events of one track lie within each other or apart."""
    tracks = {}
    for event in events:
        assert event["dur"] >= 0
        tracks.setdefault(event["tid"], []).append(event)
    for track in tracks.values():
        open_until = []
        for event in sorted(track, key=lambda e: (e["ts"], -e["dur"])):
            begin, end = event["ts"], event["ts"] + event["dur"]
            # Times are rounded to nanoseconds.
            while open_until and open_until[-1] <= begin + 0.002:
                open_until.pop()
            assert not open_until or end <= open_until[-1] + 0.002
            open_until.append(end)


def complete(path, category):
    events = json.loads(path.read_text())["traceEvents"]
    return [e for e in events if e["ph"] == "X" and category in (None, e["cat"])]


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evil")
    onnx.save(evil_model(), folder / "evil.onnx")
    lutra_compile(folder / "evil.onnx", "-o", folder / "evil.so",
                  f"--trace={folder / 'compile.json'}")  # fmt: skip
    return folder


@pytest.mark.parametrize("threads", [1, 3])
def test_trace_of_runs(digits, tmp_path, threads):
    artifact, trace = tmp_path / "digits.so", tmp_path / "trace.json"
    lutra_compile(digits[0], "-o", artifact)
    run_tool("lutra-run", artifact, f"--trace={trace}", "--repeat=4", "--warmup=1",
             "--dim=batch:500", f"--threads={threads}")  # fmt: skip
    check_nesting(complete(trace, None))
    runs, dispatches = complete(trace, "run"), complete(trace, "dispatch")
    known = lutra.load(artifact).info["dispatches"]
    assert len(runs) == 4
    assert [e["name"] for e in dispatches] == 4 * [kernel for kernel, _ in known]
    assert [e["args"]["nodes"] for e in dispatches] == 4 * [nodes for _, nodes in known]
    assert [e["args"]["dispatch"] for e in dispatches] == 4 * list(range(len(known)))
    tasks = complete(trace, "task")
    assert {e["tid"] for e in tasks} <= set(range(threads))
    # The ranges of each loop are all of it, once.
    for run in runs:
        inside = [e for e in tasks if run["ts"] <= e["ts"] <= run["ts"] + run["dur"]]
        loops = {}
        for task in inside:
            loops.setdefault(task["args"]["dispatch"], []).append(
                (task["args"]["begin"], task["args"]["end"])
            )
        for ranges in loops.values():
            ranges.sort()
            assert ranges[0][0] == 0
            assert all(a[1] == b[0] for a, b in zip(ranges, ranges[1:]))


def test_trace_holds_any_name(evil):
    trace = evil / "run.json"
    run_tool("lutra-run", evil / "evil.so", f"--trace={trace}")
    nodes = [e["args"]["nodes"] for e in complete(trace, "dispatch")]
    assert any("<script>alert(1)</script>\"'&" in node for node in nodes)


def test_trace_of_compilation(evil):
    events = complete(evil / "compile.json", None)
    check_nesting(events)
    phases = [e["name"] for e in events if e["cat"] == "phase"]
    assert phases[0] == "import" and phases[-1] == "object"
    assert {"weights", "code", "link"} == {e["name"] for e in events if e["cat"] == "part"}
    assert any(e["name"] == "convert-onnx-to-tensor" for e in events)


def test_times_of_a_run_on_the_page(digits, tmp_path):
    artifact, trace, html = (tmp_path / name for name in ("d.so", "t.json", "d.html"))
    lutra_compile(digits[0], "-o", artifact)
    run_tool("lutra-run", artifact, f"--trace={trace}", "--repeat=3")
    lutra_compile(digits[0], "-o", artifact, f"--report=html:{html}",
                  f"--report-profile={trace}")  # fmt: skip
    assert "in kernels" in html.read_text()
    Page(html.read_text())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"traceEvents": 1}', "[" * 1000000,
                                  '{"traceEvents": [{"cat": "dispatch"}]}'])  # fmt: skip
def test_damaged_profile(digits, tmp_path, text):
    profile, html = tmp_path / "p.json", tmp_path / "d.html"
    profile.write_text(text)
    done = lutra_compile(digits[0], "-o", tmp_path / "d.so", f"--report=html:{html}",
                         f"--report-profile={profile}", expect=3)  # fmt: skip
    assert "expected a trace that lutra-run wrote" in done.stderr
    assert not html.exists() and not (tmp_path / "d.so").exists()
