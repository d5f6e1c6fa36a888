/** Signs as well as colours tell results apart; every text keeps a contrast of at least 4.5 : 1 in both schemes. */
export const STYLE = `
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--text:#1c2330;--soft:#566074;--line:#dde1e8;--accent:#1d4ed8;
--fail:#b42318;--fail-bg:#fdecea;--warn:#92500a;--warn-bg:#fdf2dc;--open:#4a5568;--open-bg:#e9ecf1;--pass:#0f6b3f;--pass-bg:#e1f5ea;--none:#5b6472;--none-bg:transparent;--broken:#5b1a8c;--broken-line:#2c0a47}
@media (prefers-color-scheme:dark){:root{--bg:#12161d;--card:#1a2029;--text:#e7ebf2;--soft:#a3adbf;--line:#2d3644;--accent:#8fb4ff;
--fail:#ff9d92;--fail-bg:#46201d;--warn:#f5c16c;--warn-bg:#42300f;--open:#c6cedb;--open-bg:#2b3442;--pass:#7fdcab;--pass-bg:#12392a;--none:#a3adbf;--broken:#6d28a8;--broken-line:#d9b3ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
header,main,footer{max-width:72rem;margin:0 auto;padding:0 1.5rem}
header{padding-top:2.5rem}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;background:var(--card);padding:.5rem 1rem}
.eyebrow{margin:0;color:var(--soft);font-size:.85rem;letter-spacing:.06em;text-transform:uppercase}
h1{margin:.1rem 0 .75rem;font-size:2rem;line-height:1.2}
h2{margin:2.75rem 0 1rem;font-size:1.3rem}
h3{margin:0;font-size:1.05rem}
h4{margin:0 0 .25rem;font-size:1rem}
.about{margin:-.4rem 0 1rem;color:var(--soft);font-size:.92rem}
.environment{display:inline-block;vertical-align:middle;font-size:.85rem;font-weight:600;padding:.1rem .6rem;border:1px solid var(--line);border-radius:1rem;color:var(--soft)}
.verdict{margin:0;padding:.9rem 1.1rem;border-radius:.5rem;border-left:.35rem solid;font-size:1.1rem;font-weight:600}
.verdict.broken{background:var(--broken);border-color:var(--broken-line);color:#fff}
.verdict.open{background:var(--open-bg);border-color:var(--open);color:var(--open)}
.verdict.blocked,.verdict.failed{background:var(--fail-bg);border-color:var(--fail);color:var(--fail)}
.verdict.warned{background:var(--warn-bg);border-color:var(--warn);color:var(--warn)}
.verdict.clear{background:var(--card);border-color:var(--pass)}
.tiles{list-style:none;margin:1rem 0 0;padding:0;display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem}
.tile{background:var(--card);border:1px solid var(--line);border-top:.25rem solid var(--soft);border-radius:.5rem;padding:.6rem .9rem;display:flex;flex-direction:column;color:var(--soft)}
.tile .count{font-size:1.8rem;font-weight:700;line-height:1.2;color:var(--text);font-variant-numeric:tabular-nums}
.tile.fail{border-top-color:var(--fail)}.tile.pass{border-top-color:var(--pass)}.tile.waived{border-top-color:var(--warn)}
.tile.none{border-top-color:var(--line)}.tile.none .count{color:var(--soft);font-weight:400}
.card{background:var(--card);border:1px solid var(--line);border-left:.35rem solid var(--open);border-radius:.5rem;padding:1rem 1.2rem;margin:0 0 1rem}
.card.fail{border-left-color:var(--fail)}.card.advisory,.card.waived{border-left-color:var(--warn)}
.caution{margin:.6rem 0 0;padding:.5rem 1.1rem;border-left:.35rem solid var(--warn);background:var(--warn-bg);color:var(--warn);border-radius:.5rem}
.filter{display:flex;flex-wrap:wrap;gap:.75rem 1rem;align-items:end;margin-top:2rem;padding:.8rem 1.2rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
.filter[hidden]{display:none}
.filter label{display:flex;flex-direction:column;font-size:.85rem;color:var(--soft);flex:1 1 9rem}
.filter select,.filter input,.filter button{font:inherit;color:var(--text);background:var(--bg);border:1px solid var(--soft);border-radius:.3rem;padding:.3rem .5rem;width:100%}
.filter button{width:auto;cursor:pointer}.filter p{margin:0;flex-basis:100%;color:var(--soft);font-size:.85rem}
:focus-visible{outline:.2rem solid var(--accent);outline-offset:.1rem}
[hidden]{display:none!important}
.plain{margin:0;padding-left:1.2rem}.plain li{margin:.2rem 0;overflow-wrap:anywhere}.loss{font-weight:600}.loss::marker{content:"⚠ "}
.evidence{display:block;margin-top:.35rem;font-size:.85rem;color:var(--soft);overflow-wrap:anywhere}
caption .severity{font-weight:400;font-size:.85rem;overflow-wrap:anywhere}
.card .title{margin:.4rem 0 0}
.meta{margin:.1rem 0 .6rem;color:var(--soft);font-size:.9rem}
.violations{list-style:none;margin:0;padding:0}
.violations>li{border-top:1px solid var(--line);padding:.75rem 0 .25rem}
dl{margin:0}
.finding div,.run div{display:grid;grid-template-columns:6.5rem 1fr;gap:.75rem;padding:.12rem 0}
.run{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1.2rem}
.run div{grid-template-columns:8rem 1fr}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
code{font:.92em/1.4 ui-monospace,SFMono-Regular,Menlo,"Liberation Mono",monospace}
.chip{display:inline-flex;align-items:center;gap:.35rem;white-space:nowrap;font-size:.82rem;font-weight:600;padding:.12rem .55rem;border-radius:1rem;background:var(--none-bg);color:var(--none);border:1px solid transparent}
.chip::before{content:"–";font-weight:700}
.chip.fail{background:var(--fail-bg);color:var(--fail)}.chip.fail::before{content:"✕"}
.chip.advisory{background:var(--warn-bg);color:var(--warn)}.chip.advisory::before{content:"!"}
.chip.waived{background:var(--warn-bg);color:var(--warn)}.chip.waived::before{content:"◆"}
.chip.pass{background:var(--pass-bg);color:var(--pass)}.chip.pass::before{content:"✓"}
.chip.not-evaluated{background:var(--open-bg);color:var(--open);border:1px dashed currentColor}.chip.not-evaluated::before{content:"?"}
.scroll{overflow-x:auto;margin:0 0 1.5rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
table{border-collapse:collapse;width:100%;min-width:52rem;table-layout:fixed}
caption{text-align:left;font-weight:600;padding:.8rem 1rem .5rem}
th,td{text-align:left;vertical-align:top;padding:.55rem 1rem;border-top:1px solid var(--line);font-weight:400;font-size:.92rem}
thead th{font-size:.8rem;color:var(--soft);font-weight:600}
thead th:nth-child(1){width:10rem}thead th:nth-child(3){width:7rem}thead th:nth-child(4){width:11rem}thead th:nth-child(5){width:15rem}
th code{font-weight:600}
.evidence-table thead th:nth-child(n){width:auto}
th .title,.severity{display:block;color:var(--soft)}
.control{display:inline-block;white-space:nowrap;font-size:.8rem;border:1px solid var(--line);border-radius:.3rem;padding:0 .35rem;margin:0 0 .2rem}
a{color:var(--accent)}
footer{color:var(--soft);font-size:.9rem;padding-top:1.5rem;padding-bottom:3rem}
@media (max-width:40rem){header,main,footer{padding:0 1rem}h1{font-size:1.5rem}.finding div,.run div{grid-template-columns:1fr;gap:0}.tiles{grid-template-columns:repeat(auto-fit,minmax(7rem,1fr))}}
@media print{:root{color-scheme:light;--bg:#fff;--card:#fff;--text:#000;--soft:#333;--line:#999;--accent:#000;--fail:#8f1b12;--fail-bg:#fff;--warn:#6b3c07;--warn-bg:#fff;--open:#333;--open-bg:#fff;--pass:#0b4f2f;--pass-bg:#fff;--none:#333;--broken:#fff;--broken-line:#2c0a47}
html{font-size:12px}body{font-size:1rem}header,main,footer{max-width:none;padding:0}.skip,.filter{display:none}h2{margin:1.5rem 0 .6rem}tr,li,.tile,.verdict{break-inside:avoid}h2,h3,caption,.meta{break-after:avoid}.card{padding:.6rem .9rem}.verdict,.chip{border:1px solid}.verdict.broken{color:#2c0a47}.tiles{grid-template-columns:repeat(5,1fr)}
.scroll{overflow:visible;border:0}table{min-width:0}th,td{padding:.35rem .5rem}thead{display:table-header-group}thead th:nth-child(1){width:14%}thead th:nth-child(3){width:12%}thead th:nth-child(4){width:20%}thead th:nth-child(5){width:24%}.chip,.control{white-space:normal}}
`;
