import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'

/** docs/guides/first-steps.md as a reader goes through it: what it tells to make and to run is made and run, in its order. */

const root = resolve(import.meta.dirname, '../..')
const text = readFileSync(join(root, 'docs', 'guides', 'first-steps.md'), 'utf8')
const home = mkdtempSync(join(tmpdir(), 'treaty-first-steps-'))
const shop = join(home, 'shop')

interface Block {
  readonly language: string
  readonly content: string
  /** A file that the sentence before tells to make. */
  readonly file: string | undefined
}
const blocks = [
  ...text.matchAll(/([^`\n]*(?:`[^`\n]+`[^`\n]*)*\n(?:[^\n]+\n)*)?\n?```(\w+)\n(.*?)```/gs),
].map(
  ([, before = '', language = '', content = '']): Block => ({
    language,
    content,
    file: /Make `([^`]+)`/.exec(before.slice(-300))?.[1],
  }),
)

/** Streams are JSON here and text on a terminal: what is compared is the sentence. */
const calm = (output: string) =>
  output
    .replaceAll(/[ \t]+/g, ' ')
    .replaceAll('\\"', '"')
    .replaceAll(/^error\[[A-Z_]+\]: /gm, '')

function run(line: string): string {
  const env = { ...process.env, PATH: `${join(home, 'bin')}${delimiter}${process.env.PATH}` }
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', line], {
    cwd: shop,
    env,
    encoding: 'utf8',
  })
  const wanted = Number(/# exit (\d+)/.exec(line)?.[1] ?? 0)
  expect(status, `${line}\n${stdout}${stderr}`).toBe(wanted)
  return `${stdout}${stderr}`
}

/** The reader lets `treaty dev` run beside it, which makes the dead letter; here a consumer that fails does. */
function ready(line: string): string {
  if (line.includes('dead list')) run('npx treaty consume billing --exec "exit 1" --idle-exit 500')
  if (!line.endsWith(' ID')) return line
  const { data } = JSON.parse(run('npx treaty dead list --json')) as {
    data: { items: [{ id: string }] }
  }
  return line.replace(/ID$/, data.items[0].id)
}

beforeAll(() => {
  const modules = join(shop, 'node_modules')
  mkdirSync(modules, { recursive: true })
  mkdirSync(join(home, 'bin'))
  for (const name of ['@types', 'typescript'])
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  symlinkSync(root, join(modules, 'treatyjs'))
  writeFileSync(join(shop, 'package.json'), '{ "private": true }')
  const npx = `#!/bin/sh\ntool=$1; shift\ncase $tool in
treaty) exec '${process.execPath}' '${join(root, 'bin', 'treaty.js')}' "$@";;
*) exec '${join(root, 'node_modules', '.bin')}'/$tool "$@";;\nesac\n`
  writeFileSync(join(home, 'bin', 'npx'), npx)
  symlinkSync(process.execPath, join(home, 'bin', 'node'))
  chmodSync(join(home, 'bin', 'npx'), 0o755)
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

it('the first steps can be gone, and lead where they say', () => {
  let output = ''
  let commands = 0
  for (const { language, content, file } of blocks) {
    if (file !== undefined) writeFileSync(join(shop, file), content)
    if (language === 'text' && output !== '') {
      for (const line of content.trim().split('\n'))
        expect(calm(output)).toContain(calm(line).trim())
    }
    if (language !== 'sh') continue
    output = ''
    for (const line of content.trim().split('\n')) {
      if (/^(?:npm|mkdir) |npx treaty (?:dev|start)/.test(line)) continue
      output += run(ready(line))
      commands += 1
    }
  }

  expect(commands).toBeGreaterThan(15)
  expect(blocks.filter(({ file }) => file !== undefined)).toHaveLength(2)
})
