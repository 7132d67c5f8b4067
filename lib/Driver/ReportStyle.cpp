//===- ReportStyle.cpp - How the report's page looks ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The page's style sheet and script. The rows of the list of dispatches are as
// high as those of the picture beside it.
//
//===----------------------------------------------------------------------===//

#include "ReportPage.h"

using namespace mlir::lutra;

const llvm::StringLiteral page::kStyle = R"(
body { font: 14px/1.5 system-ui, sans-serif; color: #222; margin: 2em;
       background: #fff; }
h1 { font-size: 24px; margin: 0 0 .5em; }
h2 { font-size: 18px; margin: 2em 0 .5em; }
table { border-collapse: collapse; }
th, td { padding: 2px 14px 2px 0; text-align: left; vertical-align: top; }
th { font-weight: 600; color: #666; }
th, .number, .name { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
code { font: 12px/1.6 ui-monospace, monospace; }
.chip { display: inline-block; width: 10px; height: 10px; margin-right: 6px;
        border-radius: 2px; }
.bar { display: inline-block; height: 10px; background: #6a9fd8;
       vertical-align: middle; }
.scroll { overflow-x: auto; }
.dispatches { display: flex; }
.dispatches .rows { flex: 1; min-width: 0; }
.row { display: grid; height: 22px; line-height: 22px; white-space: nowrap;
       grid-template-columns: 4em 11em minmax(8em, 2fr) minmax(8em, 2fr)
                              6em 6em 16em; }
.row span { overflow: hidden; text-overflow: ellipsis; padding-right: 10px; }
.head { color: #666; font-weight: 600; }
.row.hot { background: #fff3c4; }
svg { font-family: system-ui, sans-serif; flex: none; }
svg text { pointer-events: none; }
g.hot line { stroke: #000; }
g.hot rect { stroke: #000; stroke-width: 2; }
)";

// Hovering over a tensor, or over a dispatch, marks all that it has to do with.
const llvm::StringLiteral page::kScript = R"(
const parts = new Map();
for (const part of document.querySelectorAll('[data-t]'))
  for (const tensor of part.dataset.t.split(' '))
    parts.set(tensor, [...(parts.get(tensor) || []), part]);
function mark(event, on) {
  const part = event.target.closest('[data-t]');
  if (part)
    for (const tensor of part.dataset.t.split(' '))
      for (const other of parts.get(tensor))
        other.classList.toggle('hot', on);
}
document.addEventListener('mouseover', event => mark(event, true));
document.addEventListener('mouseout', event => mark(event, false));
)";
