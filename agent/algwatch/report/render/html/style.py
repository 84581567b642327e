# SPDX-License-Identifier: Apache-2.0
"""The look of the page (CSS), and the script of its copy buttons. The page has no style attribute
and no other script: its policy allows these two by their hashes."""

from __future__ import annotations

PALETTE = """
:root{color-scheme:light dark;--ground:#f6f7f9;--panel:#fff;--ink:#1a1f27;--soft:#5c6675;
--rule:#e1e5ea;--lane:#c3cad4;--accent:#2b5cc4;--bad:#b3261e;--bad-ground:#fdf0ee;--good:#1a7544;
--good-ground:#edf8f1;--warn:#8a5700;--warn-ground:#fdf6e5;--gone:#fbdcd8;--gone-mark:#f4a69c;
--come:#d7f0df;--come-mark:#93d6a8;--code:#f0f2f5}
@media (prefers-color-scheme:dark){:root{--ground:#11151b;--panel:#191f27;--ink:#e6e9ee;
--soft:#98a3b3;--rule:#2b333e;--lane:#46515f;--accent:#86aefc;--bad:#ff9087;--bad-ground:#33191a;
--good:#6fd39a;--good-ground:#13291d;--warn:#eab95a;--warn-ground:#2d2413;--gone:#45201f;
--gone-mark:#8f3a34;--come:#173624;--come-mark:#2c7047;--code:#222a34}}
"""

DRAWN = """
svg.ladder text{font:11.5px ui-sans-serif,system-ui,sans-serif;fill:var(--ink);text-anchor:middle;
paint-order:stroke;stroke:var(--panel);stroke-width:5px;stroke-linejoin:round}
svg.ladder text.head{font-size:13px;font-weight:650}
svg.ladder text.host,svg.ladder text.port{font-size:11px;fill:var(--soft)}
svg.ladder text.time{font:10.5px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
fill:var(--soft);text-anchor:start}
svg.ladder text.label{font-weight:600}
svg.ladder text.times{fill:var(--soft)}
svg.ladder text.note{font-size:11px;fill:var(--warn)}
svg.ladder text.changed{font-size:11px;fill:var(--warn)}
svg.ladder text.doubt{font-weight:700;fill:var(--soft)}
svg.ladder .ground{fill:var(--panel)}
svg.ladder .lane{stroke:var(--lane);stroke-width:1.5}
svg.ladder .lane.router{stroke:var(--accent);stroke-width:2;stroke-dasharray:5 4}
svg.ladder .arrow{stroke:var(--soft);stroke-width:1.6}
svg.ladder .tip{fill:var(--soft)}
svg.ladder .request .arrow{stroke:var(--accent)}
svg.ladder .request .tip,svg.ladder .request .label{fill:var(--accent)}
svg.ladder .good .arrow{stroke:var(--good)}
svg.ladder .good .tip,svg.ladder .good .label{fill:var(--good)}
svg.ladder .bad .arrow{stroke:var(--bad)}
svg.ladder .bad .tip,svg.ladder .bad .label{fill:var(--bad)}
svg.ladder .lost .arrow{stroke:var(--bad);stroke-dasharray:6 4}
svg.ladder .lost .label{fill:var(--bad)}
svg.ladder .cross{stroke:var(--bad);stroke-width:3;fill:none;stroke-linecap:round}
svg.ladder .rewrite{fill:var(--warn);stroke:var(--panel);stroke-width:1.5}
svg.ladder .hit{fill:transparent}
svg.ladder a:hover .label{text-decoration:underline}
"""

PAGE = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);
font:16px/1.5 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1000px;margin:0 auto;padding:24px 20px 64px}
a{color:var(--accent)}
h1,h2,h3,h4{line-height:1.25;margin:0;overflow-wrap:anywhere}
h1{font-size:1.75rem;letter-spacing:-.01em}
h2{font-size:1.2rem;margin:44px 0 14px}
h3{font-size:1.05rem}
h4{font-size:.95rem;margin:18px 0 8px}
p{margin:6px 0;overflow-wrap:anywhere}
ul{margin:8px 0;padding-left:1.2em}
li{margin:4px 0;overflow-wrap:anywhere}
.story{font-weight:650;margin:8px 0 16px}
.story.bad{color:var(--bad)}
.story.good{color:var(--good)}
.story.warn{color:var(--warn)}
.soft{color:var(--soft)}
.small{font-size:.875rem}
code,pre,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.8125rem}
.top{display:flex;justify-content:space-between;gap:16px;flex-wrap:wrap;margin-bottom:14px}
.brand{font-weight:700;letter-spacing:-.01em}
.brand::before{content:"";display:inline-block;width:.7em;height:.7em;margin-right:.45em;
border-radius:3px;background:var(--accent);transform:rotate(45deg) scale(.8)}
.panel{background:var(--panel);border:1px solid var(--rule);border-radius:12px;padding:18px 20px;
margin:0 0 16px}
.verdict{border-left:6px solid var(--soft);padding:22px 24px}
.verdict.hurts{border-left-color:var(--bad);background:var(--bad-ground)}
.verdict.hurts h1{color:var(--bad)}
.verdict.fine{border-left-color:var(--good);background:var(--good-ground)}
.verdict.fine h1{color:var(--good)}
.verdict.cannot-tell,.verdict.doubtful{border-left-color:var(--warn);background:var(--warn-ground)}
.verdict.cannot-tell h1,.verdict.doubtful h1{color:var(--warn)}
.next{font-weight:650;margin-top:12px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(118px,1fr));gap:10px;
margin:0 0 16px}
.tile{background:var(--panel);border:1px solid var(--rule);border-radius:10px;padding:10px 14px}
.tile b{display:block;font-size:1.4rem;line-height:1.2;font-variant-numeric:tabular-nums}
.tile.bad b{color:var(--bad)}
.tile.warn b{color:var(--warn)}
.tile span{color:var(--soft);font-size:.8125rem}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:.9rem;margin:0 0 4px}
nav a{text-decoration:none}
nav a:hover{text-decoration:underline}
table{border-collapse:collapse;width:100%}
th{text-align:left;font-weight:600;color:var(--soft);font-size:.8125rem}
.lines th,.lines td{padding:7px 10px 7px 0;border-bottom:1px solid var(--rule);
vertical-align:top;overflow-wrap:anywhere}
.lines .mono{overflow-wrap:break-word}
.lines tr:last-child td{border-bottom:0}
.chip{display:inline-block;border-radius:99px;padding:1px 9px;font-size:.78rem;font-weight:600;
background:var(--code);color:var(--soft);white-space:nowrap;margin:1px 4px 1px 0}
.chip.bad{background:var(--bad-ground);color:var(--bad)}
.chip.good{background:var(--good-ground);color:var(--good)}
.chip.warn{background:var(--warn-ground);color:var(--warn)}
.finding{border-left:4px solid var(--rule);padding:2px 0 2px 14px;margin:16px 0}
.finding.bad{border-left-color:var(--bad)}
.finding.warn{border-left-color:var(--warn)}
.finding.good{border-left-color:var(--good)}
.rule{font-weight:700;margin-right:8px}
.why{border:0;margin:10px 0 0;padding:0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 14px;margin:8px 0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
pre{background:var(--code);border-radius:8px;padding:11px 13px;margin:8px 0;overflow-x:auto;
white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.5}
.typed{position:relative}
.typed button{position:absolute;top:7px;right:7px;font:inherit;font-size:.78rem;cursor:pointer;
border:1px solid var(--rule);border-radius:6px;background:var(--panel);color:var(--ink);
padding:3px 10px}
.typed button:hover{border-color:var(--accent);color:var(--accent)}
details{margin:8px 0}
summary{cursor:pointer;overflow-wrap:anywhere}
summary:hover{color:var(--accent)}
details.message{border:1px solid var(--rule);border-radius:8px;margin:8px 0}
details.message>summary{padding:8px 12px;font-size:.9rem}
details.message[open]>summary{border-bottom:1px solid var(--rule)}
.scroll{overflow-x:auto}
.copies{table-layout:fixed;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
font-size:.75rem;line-height:1.45}
.copies th{padding:7px 12px;font-family:ui-sans-serif,system-ui,sans-serif}
.copies td{padding:1px 12px;overflow-wrap:anywhere;vertical-align:top;white-space:pre-wrap;
border-left:3px solid transparent}
.copies tr:last-child td{padding-bottom:8px}
.copies td.gone{background:var(--gone);border-left-color:var(--bad)}
.copies td.come{background:var(--come);border-left-color:var(--good)}
.copies .same{color:var(--soft)}
mark{color:inherit;border-radius:3px;font-weight:700}
.gone mark{background:var(--gone-mark)}
.come mark{background:var(--come-mark)}
svg{display:block;overflow:visible}
svg svg{overflow:visible}
.timeline text{font:11.5px ui-sans-serif,system-ui,sans-serif;fill:var(--ink)}
.timeline .soft{fill:var(--soft)}
.timeline .grid{stroke:var(--rule)}
.timeline .bar{stroke-width:9;stroke:var(--soft)}
.timeline .dot{fill:var(--soft)}
.timeline .good .bar{stroke:var(--good)}
.timeline .good .dot{fill:var(--good)}
.timeline .bad .bar{stroke:var(--bad)}
.timeline .bad .dot{fill:var(--bad)}
.timeline .warn .bar{stroke:var(--warn)}
.timeline .warn .dot{fill:var(--warn)}
.timeline .flag{fill:var(--bad);stroke:var(--panel);stroke-width:1}
.timeline a:hover text{text-decoration:underline}
.timeline .many.good{fill:var(--good)}
.timeline .many.bad{fill:var(--bad)}
.timeline .many{fill:var(--soft)}
footer{margin-top:48px;color:var(--soft);font-size:.85rem}
@media (max-width:640px){
main{padding:16px 12px 48px}
h1{font-size:1.4rem}
.panel{padding:14px 13px}
.verdict{padding:16px}
.lines thead{display:none}
.lines tr{display:block;padding:8px 0;border-bottom:1px solid var(--rule)}
.lines tr:last-child{border-bottom:0}
.lines td{display:block;border:0;padding:1px 0}
.timeline .wide{display:none}
.copies thead{display:none}
.copies,.copies tbody,.copies tr,.copies td{display:block}
.copies td.again{display:none}
.copies td:empty{display:none}
dl{grid-template-columns:1fr;gap:0}
dd{margin-bottom:6px}
}
@media print{
:root{color-scheme:light;--ground:#fff;--panel:#fff;--ink:#111;--soft:#555;--rule:#ccc;--lane:#999;
--accent:#1f4fb0;--bad:#a51d16;--bad-ground:#fdf0ee;--good:#116236;--good-ground:#edf8f1;
--warn:#7a4c00;--warn-ground:#fdf6e5;--gone:#fbdcd8;--gone-mark:#f4a69c;--come:#d7f0df;
--come-mark:#93d6a8;--code:#f3f4f6}
@page{margin:14mm}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
body{font-size:11pt}
main{max-width:none;padding:0}
nav,.typed button,.plain{display:none}
.panel{border-radius:6px}
.ladder,.finding,.tile,.typed,tr{break-inside:avoid}
h2,h3,h4,summary{break-after:avoid}
details::details-content{content-visibility:visible;block-size:auto}
}
"""

SCRIPT = """
for (const box of document.querySelectorAll(".typed")) {
  const text = box.querySelector("pre").textContent;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(box.querySelector("pre"));
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  box.append(button);
}
function reveal() {
  const there = location.hash && document.getElementById(location.hash.slice(1));
  if (there && there.tagName === "DETAILS") there.open = true;
}
addEventListener("hashchange", reveal);
reveal();
"""
