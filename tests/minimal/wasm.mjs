// Runs a program for WASI: node wasm.mjs PROGRAM. Ends with its exit status.
import { readFile } from 'node:fs/promises';
import { WASI } from 'node:wasi';

const system = new WASI({ version: 'preview1', returnOnExit: true });
const program = await WebAssembly.compile(await readFile(process.argv[2]));
const instance = await WebAssembly.instantiate(program, { wasi_snapshot_preview1: system.wasiImport });
process.exitCode = system.start(instance);
