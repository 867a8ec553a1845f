"""The style of the page, with the policy that lets a browser use this style and nothing else."""

from __future__ import annotations

import base64
import hashlib

from driftline._drawing.style import PALETTE, PARTS, compact

__all__ = ["POLICY", "STYLE"]

PAGE = """
html{background:#fff;scroll-behavior:smooth}
@media(prefers-color-scheme:dark){html{background:#0e1116}}
@media print{html{background:#fff}}
body.driftline{margin:0;background:var(--paper)}
main,header,footer{max-width:1080px;margin:0 auto;padding:0 28px}
a{color:inherit}
:focus-visible{outline:3px solid var(--cur);outline-offset:2px;border-radius:4px}
.skip{position:absolute;left:-999px}
.skip:focus{left:8px;top:8px;background:var(--paper);padding:6px 12px;z-index:1}
.vh{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
header{padding-top:44px}
.eyebrow{display:flex;justify-content:space-between;gap:16px;flex-wrap:wrap;color:var(--soft);font-size:14px;
margin:0 0 22px}
.eyebrow b{color:var(--ink);font-weight:650}
h1{font-size:clamp(30px,5.4vw,50px);line-height:1.08;letter-spacing:-.025em;font-weight:680;margin:0 0 14px;
max-width:20em;text-wrap:balance}
h1.drifting{color:var(--drift)}
h1.rollback{color:var(--bad)}
.also{list-style:none;margin:0 0 26px;padding:0;font-size:17px;max-width:46em}
.also li{margin:3px 0}
.facts{display:flex;flex-wrap:wrap;gap:8px 36px;margin:24px 0 0;padding:16px 0;border-top:1px solid var(--line);
border-bottom:1px solid var(--line)}
.facts div{min-width:90px}
.facts dt{color:var(--soft);font-size:12.5px}
.facts dd{margin:0;font-size:16px;font-weight:600;overflow-wrap:anywhere}
section{margin:52px 0 0}
h2{font-size:23px;letter-spacing:-.012em;line-height:1.25;margin:0 0 6px;font-weight:660}
.lead{color:var(--soft);margin:0 0 18px;max-width:48em}
h3{font-size:17px;margin:0;font-weight:640;display:inline;overflow-wrap:anywhere}
h4,.columns h3{display:block;font-size:13px;font-weight:600;color:var(--soft);margin:0 0 6px}
.key{display:inline-flex;gap:6px;align-items:center;margin-right:16px}
.key svg{flex:none}
.scroll{overflow-x:auto}
.overview td,.overview th{padding-top:6px;padding-bottom:6px}
.overview .mini{width:128px}
.overview th:first-child{min-width:11em}
.overview .change{width:38%;min-width:15em;color:var(--soft);font-size:13.5px;line-height:1.4}
.plain th:first-child{min-width:11em}
.plain .words:last-child{width:64%}
.why+.lead{margin-top:10px}
.overview tr:target{background:var(--panel)}
details.feature,.criterion{border-top:1px solid var(--line)}
details.feature>summary{display:flex;flex-wrap:wrap;align-items:baseline;gap:4px 14px;padding:13px 0;cursor:pointer;
list-style:none}
summary::-webkit-details-marker{display:none}
details.feature>summary::before{content:"";flex:none;width:7px;height:7px;border:solid var(--soft);
border-width:0 2px 2px 0;transform:translateY(-2px) rotate(-45deg);transition:transform .12s}
details.feature[open]>summary::before{transform:translateY(-3px) rotate(45deg)}
details.feature>summary:hover h3{text-decoration:underline;text-underline-offset:3px}
summary .sum{margin-left:auto;color:var(--soft);font-size:13.5px}
.body{padding:2px 0 30px 21px;display:grid;grid-template-columns:minmax(0,1.45fr) minmax(0,1fr);gap:22px 40px}
.body>*{min-width:0}
.why{grid-column:1/-1;margin:0;font-size:16px;max-width:52em;overflow-wrap:anywhere}
.note{color:var(--soft);font-size:12.5px;margin:6px 0 0}
.full{grid-column:1/-1}
.criterion{padding:18px 0 8px}
.criterion .body{padding-left:0}
.more summary{cursor:pointer;color:var(--soft);font-size:13.5px;text-decoration:underline;text-underline-offset:3px}
.panel{background:var(--panel);border-radius:12px;padding:18px 22px}
.warn{color:var(--unknown);font-weight:600}
.columns{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:26px 44px}
.square{aspect-ratio:1;max-width:330px;padding:0 0 22px 40px}
footer{margin-top:60px;padding-top:18px;padding-bottom:44px;color:var(--soft);font-size:13px}
footer ul{padding-left:18px;margin:6px 0}
@media(max-width:720px){
main,header,footer{padding-left:18px;padding-right:18px}
header{padding-top:26px}
.body,.columns{grid-template-columns:minmax(0,1fr)}
.body{padding-left:0}
.overview,.overview tbody{display:block}
.overview thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.overview tbody tr{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:2px 14px;padding:11px 0;
border-top:1px solid var(--line);align-items:center}
.overview tbody :is(td,th){border:0;padding:0}
.overview tbody th:first-child{min-width:0;font-size:15.5px;font-weight:600}
.overview .psi{display:none}
.overview .p{display:none}
.overview .change{grid-column:1/3;grid-row:3;width:auto;min-width:0}
.overview .shape{grid-column:1/3;grid-row:2}
.overview .mini{width:100%}
summary .sum{margin-left:0;width:100%;padding-left:21px}
section{margin-top:40px}
.also{font-size:16px}
}
@media print{
section,details.feature,.criterion{break-inside:avoid}
details::details-content{content-visibility:visible;block-size:auto}
.more{display:none}
.body{padding-bottom:14px}
header{padding-top:0}
}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}*{transition:none!important}}
"""

STYLE = compact(PALETTE + PARTS + PAGE)
"""The style of a page."""

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; base-uri 'none'; form-action 'none'"
"""The content security policy of a page: no script, no request, and no style but this one."""
