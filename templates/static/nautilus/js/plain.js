// A page without live content of its own.
import { confirm } from "./freshness.js";
import { onState, start } from "./shell.js";

onState(() => confirm("page", 0, 45));
start();
