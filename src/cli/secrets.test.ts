import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runCaptured } from './captured-run.ts'
import { type CommandName, commandTable } from './command-table.ts'
import { sampleProject } from './sample-project.ts'

const canary = 'c4n4ry-Sw0rd-f1sh'

/** Arguments that each command needs; those that run until stopped, or start processes, are driven elsewhere. */
const commandLines: Readonly<Partial<Record<CommandName, readonly string[]>>> = {
  check: [],
  'contract show': [],
  'contract docs': [],
  'contract push': ['--registry', 'http://127.0.0.1:1'],
  'deployment record': ['s', '1', '--to', 'e', '--registry', 'http://127.0.0.1:1'],
  'deployment end': ['s', '1', '--to', 'e', '--registry', 'http://127.0.0.1:1'],
  compat: ['a.json', 'b.json'],
  gate: [],
  review: ['--consumer', 'billing', '--by', 'ada@example.com'],
  'can-i-deploy': ['s', '1.0.0', '--to', 'e', '--registry', 'http://127.0.0.1:1'],
  migration: [],
  'webhook listen': ['0', '--max', '0'],
  'webhook send': ['http://127.0.0.1:1/', '--data', '{}'],
  'webhook sign': ['--data', '{}'],
  'webhook verify': ['--data', '{}'],
  'webhook endpoint': ['list'],
  'webhook attempt': ['list', 'x'],
  'webhook recover': ['x', '--since', '1h'],
  'connector list': [],
  'connector call': ['crm', 'getThing'],
  'connector status': [],
  'connector queue': ['crm'],
  'export asyncapi': [],
  'import asyncapi': ['a.json'],
  'import jsonschema': ['a.json'],
  'import confluent': ['a.json'],
  gen: ['--out', '-'],
  validate: ['-'],
  publish: ['order.placed', '--data', '{"orderId":"a"}'],
  consume: ['billing', '--idle-exit', '20'],
  tail: ['--max', '1', '--timeout', '100'],
  'topology plan': [],
  'topology apply': [],
  'topology verify': [],
  lag: [],
  bench: ['--seconds', '1', '--timeout', '300'],
  'outbox relay': ['--outbox', 'sqlite:app.db', '--idle-exit', '20'],
  'outbox status': [],
  'outbox parked': [],
  'outbox retry': ['1'],
  'outbox discard': ['1'],
  trace: ['x'],
  'dead list': [],
  'dead show': ['x'],
  'dead replay': ['x'],
  'dead discard': ['x'],
  stats: [],
  'store backup': ['copy.db'],
  'store migrate': [],
  doctor: [],
  explain: ['SECRET_PLAIN'],
  init: ['made', '--yes'],
  start: ['--port', '0', '--host', '203.0.113.7'],
  serve: ['--port', '0', '--host', '203.0.113.7'],
  dev: ['--port', '0', '--host', '203.0.113.7'],
}

/** Projects in which the canary is a secret, each in another place. */
const projects: Readonly<
  Record<string, { config: string; environment?: Readonly<Record<string, string>> }>
> = {
  'a reference in the transport': {
    config: `transport: postgres://app:secret://env/CANARY@127.0.0.1:9/app\n`,
    environment: { CANARY: canary },
  },
  'a reference in the path of the transport': {
    config: `transport: sqlite:/nowhere/secret://env/CANARY/x.db\n`,
    environment: { CANARY: canary },
  },
  'a plain password in the transport': {
    config: `transport: postgres://app:${canary}@127.0.0.1:9/app\n`,
  },
  'a plain password in the environment': {
    config: '',
    environment: { TREATY_TRANSPORT: `amqp://app:${canary}@127.0.0.1:9` },
  },
  'a reference in the store': {
    config: `store: postgres://app:secret://env/CANARY@127.0.0.1:9/app\ntransport: "memory:"\n`,
    environment: { CANARY: canary },
  },
  'an API key': {
    config: `server: { keys: [{ name: ci, scopes: read, key: secret://env/CANARY }] }\n`,
    environment: { CANARY: canary },
  },
  'a plain API key': { config: `server: { keys: [{ name: ci, scopes: read, key: ${canary} }] }\n` },
  'a plain secret beside a mistake': {
    config: `server:\n  keys:\n    - { name: ci, scopes: read, key: "${canary}" }\n    - [\n`,
  },
  'the environment of a service': {
    config: `services: { s: { command: "exit 1", env: { TOKEN: secret://env/CANARY }, restart: never } }\n`,
    environment: { CANARY: canary },
  },
}

describe('a secret', () => {
  it('has every command driven', () => {
    expect(Object.keys(commandLines).toSorted()).toEqual(Object.keys(commandTable).toSorted())
  })

  describe.each(Object.keys(projects))('as %s', (where) => {
    const { config, environment = {} } = projects[where] ?? { config: '' }

    it.each(Object.entries(commandLines))('is never printed by treaty %s', async (name, rest) => {
      const cwd = sampleProject()
      const crashFolder = mkdtempSync(join(tmpdir(), 'treaty-crash-'))
      writeFileSync(join(cwd, 'treaty.config.yaml'), config)
      const isServer = ['start', 'serve', 'dev'].includes(name)
      const stopping = isServer ? AbortSignal.abort('SIGTERM') : new AbortController().signal

      for (const flags of [['--verbose'], ['--verbose', '--json']]) {
        const argv = [...name.split(' '), ...rest, ...flags]
        const { out, err } = await runCaptured(argv, {
          cwd,
          environment,
          input: 'null',
          stopping,
          crashFolder,
        })
        expect(`${out}${err}`).not.toContain(canary)
      }
      for (const file of readdirSync(crashFolder)) {
        expect(readFileSync(join(crashFolder, file), 'utf8')).not.toContain(canary)
      }
    })
  })
})
