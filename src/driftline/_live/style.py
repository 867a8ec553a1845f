"""The style and the script of the page, with the policy that lets a browser use these and nothing else."""

from __future__ import annotations

import base64
import hashlib

from driftline._drawing.style import compact
from driftline._report.style import STYLE as REPORT_STYLE

__all__ = ["POLICY", "SCRIPT", "STYLE"]

LIVE = """
main{padding-top:26px;padding-bottom:60px}
#part-head h1{font-size:clamp(26px,4.4vw,40px)}
.eyebrow{margin-bottom:18px}
.intervals{max-width:46em;margin-top:16px}
.trouble{background:var(--badbg);color:var(--bad);border-radius:10px;padding:10px 16px;margin:0 0 16px;font-size:15px;
overflow-wrap:anywhere}
.hint{font-size:16px;max-width:46em}
.hint code{overflow-wrap:anywhere}
section{margin-top:40px}
#note:empty{display:none}
#note{max-width:1024px;margin:16px auto 0}
.scroll:focus-visible{outline-offset:4px}
.models th:first-child{min-width:9em}
.models td:last-child,.problems td:last-child{text-align:left;white-space:normal;min-width:15em}
.problems th:first-child{min-width:10em}
.features .raw{color:var(--soft)}
.features .mini{width:112px}
.features .mini .line{stroke-width:1.6}
.features th:first-child{min-width:8em;max-width:22em}
.features .change{width:30%}
.features .of{color:var(--soft);display:block;font-size:12px}
.criteria{margin:10px 0 0;padding-left:20px;max-width:60em}
.criteria li{margin:3px 0;overflow-wrap:anywhere}
.events{list-style:none;margin:0;padding:0}
.events li{border-top:1px solid var(--line);padding:7px 0;display:grid;gap:12px;font-size:14.5px;
grid-template-columns:6.5em minmax(0,1fr)}
.events li>span{overflow-wrap:anywhere}
.events time{color:var(--soft)}
.events .of{color:var(--soft)}
progress{width:100%;height:8px;accent-color:var(--cur)}
.also li{overflow-wrap:anywhere}
@media(max-width:720px){
.features,.features tbody{display:block}
.features thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.features tbody tr{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:2px 14px;padding:10px 0;
border-top:1px solid var(--line);align-items:center}
.features tbody :is(td,th){border:0;padding:0}
.features tbody th:first-child{min-width:0;font-size:15.5px;font-weight:600}
.features :is(.effect,.p,.raw){display:none}
.features :is(.past,.bins){grid-column:1/3}
.features .none{display:none}
.features .mini{width:100%}
.features .change{grid-column:1/3;width:auto;min-width:0;color:var(--soft);font-size:13.5px}
.events li{grid-template-columns:minmax(0,1fr);gap:0}
.models,.models tbody,.models tr{display:block}
.models thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.models tbody tr{padding:10px 0;border-top:1px solid var(--line)}
.models tbody :is(td,th){border:0;padding:1px 0;display:flex;gap:12px;justify-content:space-between;text-align:right}
.models tbody th{font-weight:600;text-align:left}
.models tbody td::before{content:attr(data-label);color:var(--soft)}
.models tbody td:last-child{display:block}
.models tbody td:last-child::before{content:none}
}
"""

STYLE = compact(REPORT_STYLE + LIVE)
"""The style of the page: that of the report, and what a live view has beside it."""

SCRIPT = """
(()=>{"use strict";
const live=document.getElementById("live"),note=document.getElementById("note"),said=document.getElementById("said");
const clock=document.getElementById("clock"),every=Math.max(250,Number(live.dataset.every)||1000);
let tag=live.dataset.tag,fails=0,shown=new Map([...live.children].map(part=>[part.id,part.outerHTML]));
const show=text=>{
const next=new DOMParser().parseFromString(text,"text/html").body;
const opened=new Set([...live.querySelectorAll("details[open]")].map(each=>each.id));
const focus=document.activeElement&&live.contains(document.activeElement)?document.activeElement.id:"";
const kept=new Map();let before=null;
for(const part of [...next.children]){
const html=part.outerHTML,old=document.getElementById(part.id);let now=old;
if(!old||shown.get(part.id)!==html){
part.querySelectorAll("details").forEach(each=>{if(opened.has(each.id))each.open=true});
const left=old?[...old.querySelectorAll(".scroll")].map(each=>each.scrollLeft):[];
if(old)old.replaceWith(part);
now=part;
part.querySelectorAll(".scroll").forEach((each,index)=>{each.scrollLeft=left[index]||0})}
const place=before?before.nextElementSibling:live.firstElementChild;
if(place!==now)live.insertBefore(now,place);
kept.set(part.id,html);before=now}
for(const part of [...live.children])if(!kept.has(part.id))part.remove();
shown=kept;
if(focus&&document.activeElement===document.body){const again=document.getElementById(focus);
if(again)again.focus({preventScroll:true})}
const head=live.querySelector("h1");
if(head&&said.textContent!==head.textContent)said.textContent=head.textContent};
const ask=async()=>{
try{
const answer=await fetch("view?seen="+encodeURIComponent(tag),{cache:"no-store",signal:AbortSignal.timeout(10000)});
if(!answer.ok)throw new Error(answer.status);
const text=await answer.text();
if(text)show(text);
tag=answer.headers.get("ETag")||"";
clock.textContent=answer.headers.get("X-Driftline-Time")||"";
if(fails)note.textContent="";
fails=0
}catch(error){
fails+=1;
if(fails>1)note.textContent="No connection to driftline live. This page shows the last state, and tries again."}
setTimeout(ask,document.hidden?Math.max(every,5000):Math.min(every*2**Math.min(fails,4),15000))};
setTimeout(ask,every)})();
"""


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


POLICY = (
    f"default-src 'none'; style-src 'sha256-{_hash(STYLE)}'; script-src 'sha256-{_hash(SCRIPT)}'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The content security policy: this style, this script, and requests to the same server."""
