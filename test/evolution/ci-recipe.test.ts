import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..', '..')
const guide = readFileSync(join(root, 'docs', 'guides', 'ci.md'), 'utf8')
/** The recipe as the guide prints it. */
const recipe = /## The recipe[\s\S]*?```sh\n([\s\S]*?)```/.exec(guide)?.[1] ?? ''

/** A folder with `npx` that finds this checkout's command line. */
function shims(): string {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-shims-'))
  const npx = join(folder, 'npx')
  const main = join(root, 'src', 'cli', 'main.ts')
  writeFileSync(npx, `#!/bin/sh\nshift\nexec "${process.execPath}" "${main}" "$@"\n`)
  chmodSync(npx, 0o755)
  return folder
}

const git = (cwd: string, ...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
    cwd,
    stdio: 'pipe',
  })

describe('the recipe of the guide', () => {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-ci-'))
  const schemaFile = join(folder, 'contracts', 'order.placed.schema.json')
  const path = `${shims()}:${process.env.PATH}`
  const run = (base: string) =>
    spawnSync('/bin/sh', ['-c', recipe], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, PATH: path, BASE: base, NO_COLOR: '1' },
    })
  const change = (
    edit: (schema: { properties: Record<string, unknown>; required: string[] }) => void,
  ) => {
    const schema = JSON.parse(readFileSync(schemaFile, 'utf8'))
    edit(schema)
    writeFileSync(schemaFile, JSON.stringify(schema, null, 2))
  }

  beforeAll(() => {
    mkdirSync(join(folder, 'contracts'), { recursive: true })
    cpSync(join(import.meta.dirname, 'shop'), join(folder, 'contracts'), { recursive: true })
    git(folder, 'init', '-q', '-b', 'main')
    git(folder, 'add', '.')
    git(folder, 'commit', '-qm', 'first')
  })

  it('passes where nothing has changed', () => {
    const { status, stdout, stderr } = run('HEAD')

    expect(stderr).toBe('')
    expect(stdout).toContain('✓ ok  1 contract')
    expect(stdout).toContain('✓ passed  quality gate')
    expect(status).toBe(0)
  })

  it('stops a breaking change with exit 3, and passes once it is mended', () => {
    change((schema) => {
      schema.properties.total = { type: 'string' }
    })
    const broken = run('HEAD')

    expect(broken.status).toBe(3)
    expect(broken.stdout).toContain('✗ order.placed 1.0.0, changed   breaking for 1 of 1 consumer')
    expect(broken.stdout).toContain('billing reads total of order.placed, and can no longer')
    expect(broken.stdout).toContain('"total":""')
    expect(broken.stdout).toContain('order.placed.schema.json:')

    change((schema) => {
      schema.properties.total = { type: 'integer', minimum: 0 }
      schema.properties.totalText = { type: 'string' }
    })
    const yaml = join(folder, 'contracts', 'orders.yaml')
    writeFileSync(yaml, readFileSync(yaml, 'utf8').replace('version: 1.0.0', 'version: 1.1.0'))
    const mended = run('HEAD')

    expect(mended.stdout).toContain('✓ order.placed 1.0.0 → 1.1.0   compatible, minor')
    expect(mended.status).toBe(0)
  })

  it('stops where the branch to compare with does not exist', () => {
    const { status, stderr } = run('no-such-branch')

    expect(status).toBe(4)
    expect(stderr).toContain('BASELINE_NOT_FOUND')
  })
})
