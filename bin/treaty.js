#!/usr/bin/env node
// The launcher. It must parse on every Node, so that an old one gets a sentence and not a syntax error.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  process.stderr.write(
    `treaty needs Node 24 or newer, and this is Node ${process.versions.node}: install it, or add it to your project with 'npm install --save-dev node@24'.\n`,
  )
  process.exit(2)
}
const { enableCompileCache } = await import('node:module')
enableCompileCache()
await import('../dist/cli/main.js')
