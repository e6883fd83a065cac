import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** The package as its users get it: packed, laid into an empty folder, and looked at from there. */

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'treaty-package-'))
const bin = (name: string) => join(root, 'node_modules', '.bin', name)
const run = (command: string, args: readonly string[], cwd = folder) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: 'pipe', timeout: 110_000 })
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, unknown>
}
const doors = Object.keys(exports).filter((door) => !door.endsWith('.json'))
const nameOf = (door: string) => `treatyjs${door.slice(1)}`
let tarball = ''

beforeAll(() => {
  // Without its scripts: dist is what `npm ci` has built.
  const packed = run(
    'npm',
    ['pack', '--ignore-scripts', '--json', '--pack-destination', folder],
    root,
  )
  const [{ filename }] = JSON.parse(packed.slice(packed.indexOf('['))) as [{ filename: string }]
  tarball = join(folder, filename)
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, 'treatyjs'), { recursive: true })
  run('tar', ['xzf', tarball, '--strip-components=1', '-C', join(modules, 'treatyjs')])
  // What npm would install beside it; linked, so that no registry is asked.
  symlinkSync(join(root, 'node_modules'), join(modules, 'treatyjs', 'node_modules'))
  symlinkSync(join(root, 'node_modules', '@types'), join(modules, '@types'))
  writeFileSync(
    join(folder, 'package.json'),
    '{ "name": "app", "private": true, "type": "module" }',
  )
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

describe('the packed package', () => {
  it('is what publint expects', () => {
    expect(run(bin('publint'), [tarball])).toMatch(/All good/)
  })

  it('has types that resolve at every door', () => {
    // Exits 1 on a problem, which throws here.
    const output = run(bin('attw'), [tarball, '--profile', 'esm-only', '--format', 'ascii'])

    const resolved = output.match(/node16 \(from ESM\): 🟢 \(ESM\)/g) ?? []
    expect(resolved).toHaveLength(doors.length)
  })

  it('opens every door from an empty folder, without a test runner', () => {
    const program = `
      for (const door of ${JSON.stringify(doors.map(nameOf))}) {
        const names = Object.keys(await import(door))
        if (names.length === 0) throw new Error(door + ' exports nothing')
      }
      console.log('open')`
    writeFileSync(join(folder, 'doors.mjs'), program)

    expect(run(process.execPath, ['doors.mjs']).trim()).toBe('open')
  })

  it('compiles in a strict project', () => {
    writeFileSync(
      join(folder, 'app.ts'),
      `import { openBus } from 'treatyjs'
       import { createTestBus } from 'treatyjs/testing'
       import { validateContract } from 'treatyjs/a2a'
       const bus = await openBus({ contracts: './contracts' })
       const { id } = await bus.publish('order.placed', { orderId: 'o-1' })
       export const all: readonly unknown[] = [id satisfies string, createTestBus, validateContract]`,
    )
    const flags = '--noEmit --strict --module nodenext --target es2024 --types node'.split(' ')

    expect(run(bin('tsc'), [...flags, 'app.ts'])).toBe('')
  })

  it('has a command that makes a project, which then passes its own check', () => {
    const treaty = join(folder, 'node_modules', 'treatyjs', 'bin', 'treaty.js')
    run(process.execPath, [treaty, 'init', 'shop', '--yes'])
    const output = run(process.execPath, [treaty, 'check', '--json'], join(folder, 'shop'))

    expect(JSON.parse(output)).toMatchObject({ ok: true, exitCode: 0 })
  })

  it('without the schemas of GitHub says what to install, and fakes and suggests all the same', () => {
    const bare = join(folder, 'bare', 'node_modules', 'treatyjs')
    mkdirSync(join(bare, 'node_modules'), { recursive: true })
    run('tar', ['xzf', tarball, '--strip-components=1', '-C', bare])
    for (const name of readdirSync(join(root, 'node_modules'))) {
      if (name === '@octokit') continue
      symlinkSync(join(root, 'node_modules', name), join(bare, 'node_modules', name))
    }
    const program = `
      import { loadPack } from 'treatyjs'
      import { fake } from 'treatyjs/testing'
      const said = (ask) => { try { return ask() } catch ({ code, hint }) { return code + ' ' + hint } }
      console.log(said(() => loadPack('github-webhooks')))
      console.log(said(() => fake('project.craeted')))`
    writeFileSync(join(folder, 'bare', 'said.mjs'), program)

    expect(run(process.execPath, ['said.mjs'], join(folder, 'bare')).trim().split('\n')).toEqual([
      'CONTRACT_INVALID Run `npm install @octokit/webhooks-schemas`.',
      'UNKNOWN_EVENT did you mean `project.created`?',
    ])
  })

  it('says in one sentence that an old Node will not do', () => {
    const launcher = readFileSync(
      join(folder, 'node_modules', 'treatyjs', 'bin', 'treaty.js'),
      'utf8',
    )
    const old = launcher.replace('process.versions.node', "'20.1.0'")
    writeFileSync(join(folder, 'old.mjs'), old)
    let said = ''
    try {
      run(process.execPath, ['old.mjs'])
    } catch (error) {
      said = String((error as { stderr?: unknown }).stderr)
    }

    expect(said.trim().split('\n')).toHaveLength(1)
    expect(said).toMatch(/needs Node 24 or newer/)
  })
})
