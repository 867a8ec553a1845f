"""The style of all drawings: colours in light and dark, plots, tables and states."""

from __future__ import annotations

import re

__all__ = ["CARD", "NOTEBOOK_PALETTE", "PALETTE", "PARTS", "compact"]

LIGHT = """
--paper:#fff;--panel:#f6f7f9;--line:#dfe3e9;--ink:#161a22;--soft:#555e70;--ref:#c3cad6;--refline:#77839a;--cur:#2458d3;
--drift:#b93a06;--driftbg:#fdeee6;--unknown:#725500;--unknownbg:#faf2d7;--ok:#1d6b3a;--okbg:#e5f3ea;--bad:#b3202c;
--badbg:#fdeaea
"""

DARK = """
--paper:#0e1116;--panel:#161b22;--line:#2c3440;--ink:#e8ebf1;--soft:#a3acbb;--ref:#414c5d;--refline:#95a1b4;
--cur:#86aaff;--drift:#ff9463;--driftbg:#3a2116;--unknown:#e4c15a;--unknownbg:#332a10;--ok:#73cf94;--okbg:#14301f;
--bad:#ff8f8f;--badbg:#3d1a1d
"""

PALETTE = f"""
.driftline{{color-scheme:light dark;{LIGHT}}}
@media(prefers-color-scheme:dark){{.driftline{{{DARK}}}}}
@media print{{.driftline{{color-scheme:light;{LIGHT}}}}}
"""
"""The colours of a page, which follow the setting of the system, and are light on paper."""

NOTEBOOK_PALETTE = f"""
[data-jp-theme-light=true] .driftline,.vscode-light .driftline{{color-scheme:light;{LIGHT}}}
[data-jp-theme-light=false] .driftline,.vscode-dark .driftline,html[theme=dark] .driftline{{color-scheme:dark;{DARK}}}
"""
"""The colours in a notebook, which follow the theme of JupyterLab, Visual Studio Code or Colab."""

PARTS = """
.driftline{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
color:var(--ink);font-variant-numeric:tabular-nums}
.driftline *{box-sizing:border-box}
.driftline svg{display:block;overflow:visible}
.driftline .plot text{font-size:11.5px;fill:var(--soft)}
.driftline .plot{border-bottom:0}
.driftline svg svg{overflow:hidden}
.dl-ref{fill:var(--ref);stroke:none}
.dl-cur{fill:var(--cur);fill-opacity:.13;stroke:var(--cur);stroke-width:var(--width,2);
vector-effect:non-scaling-stroke}
.driftline .mini{--width:1.4}
.dl-cur.bar{fill-opacity:1;stroke:none}
.driftline :is(.mref,.mcur,.line,.dots,.limit){fill:none;vector-effect:non-scaling-stroke}
.driftline .mref{stroke:var(--refline);stroke-width:1.5;stroke-dasharray:4 3}
.driftline .mcur{stroke:var(--cur);stroke-width:1.5;stroke-dasharray:4 3}
.driftline .line{stroke:var(--cur);stroke-width:2;stroke-linejoin:round}
.driftline .dots{stroke:var(--cur);stroke-width:5;stroke-linecap:round}
.driftline .range{fill:var(--cur);fill-opacity:.16}
.driftline .course{padding-left:52px}
.driftline .axis{stroke:var(--line);stroke-width:1.5}
.driftline .span{stroke:var(--cur);stroke-width:5;stroke-opacity:.34;stroke-linecap:round}
.driftline .dot{fill:var(--cur);stroke:var(--paper);stroke-width:1.5}
.driftline .limit{stroke:var(--refline);stroke-width:1.5;stroke-dasharray:4 3}
.driftline .plot .name{fill:var(--ink);font-size:13px}
.driftline .drifting{--cur:var(--drift)}
.driftline .rollback{--cur:var(--bad)}
.driftline .inconclusive{--cur:var(--unknown)}
.driftline .state{display:inline-block;padding:1px 9px 1px 7px;border-radius:99px;font-size:13px;font-weight:600;
white-space:nowrap;color:var(--ok);background:var(--okbg)}
.driftline .state.drifting{color:var(--drift);background:var(--driftbg)}
.driftline .state.rollback{color:var(--bad);background:var(--badbg)}
.driftline .state:is(.insufficient_data,.inconclusive){color:var(--unknown);background:var(--unknownbg)}
.driftline .shares rect{fill:var(--ok)}
.driftline .shares .drifting{fill:var(--drift)}
.driftline .shares .insufficient_data{fill:var(--unknown)}
.driftline .shares{border-radius:5px;overflow:hidden}
.driftline .legend{display:flex;flex-wrap:wrap;gap:4px 22px;list-style:none;margin:8px 0 0;padding:0;font-size:14px;
color:var(--soft)}
.driftline .legend b{color:var(--ink)}
.driftline .legend .drifting span{color:var(--drift)}
.driftline .legend .insufficient_data span{color:var(--unknown)}
.driftline .legend .stable span{color:var(--ok)}
.driftline table{border-collapse:collapse;width:100%;margin:0;background:none;font-size:14px;border:0}
.driftline :is(th,td){text-align:right;padding:4px 0 4px 14px;border:0;border-top:1px solid var(--line);
font-weight:400;vertical-align:middle;background:none;white-space:nowrap}
.driftline thead :is(th,td){border-top:0;color:var(--soft);font-size:12.5px}
.driftline :is(th,td):first-child{text-align:left;padding-left:0;white-space:normal;overflow-wrap:anywhere}
.driftline .words{text-align:left;white-space:normal}
.driftline .wide{width:42%;min-width:90px}
.driftline table+table{margin-top:18px}
.driftline .plot+table,.driftline .note+table{margin-top:12px}
.driftline caption{text-align:left;color:var(--soft);font-size:12.5px;padding:0 0 4px}
.driftline bdi{overflow-wrap:anywhere}
"""
"""The style of plots, tables and states."""

CARD = """
.driftline.card{border:1px solid var(--line);border-radius:10px;padding:14px 18px;max-width:760px;margin:4px 0;
background:var(--paper)}
.driftline.card .head{display:flex;gap:10px;align-items:baseline;flex-wrap:wrap;margin:0 0 4px;font-weight:650;
font-size:16px}
.driftline.card p{margin:0 0 8px}
.driftline.card .soft{color:var(--soft);font-size:13px}
.driftline.card .mini{min-width:110px}
.driftline.card .reasons :is(td,th):last-child{text-align:left;white-space:normal;overflow-wrap:anywhere}
.driftline.card .plot tspan{font-size:11.5px}
"""
"""The style of a card in a notebook."""


def compact(css: str) -> str:
    """Return a style without line breaks, because it is part of each page and of each card."""
    return re.sub(r"\n+", "", css.strip())
