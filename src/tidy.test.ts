import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

/** The house rules that a test can hold. Each failure names the file, the line and what to do instead. */

const root = resolve(import.meta.dirname, '..')
const source = join(root, 'src')

/** Rooms and the layer each is on; imports point strictly downwards. */
const layers: Readonly<Record<string, number>> = {
  core: 0,
  contracts: 1,
  store: 1,
  registry: 2,
  messaging: 3,
  http: 3,
  webhooks: 4,
  sync: 4,
  workflows: 4,
  flows: 4,
  agents: 4,
  design: 4,
  packs: 4,
  testing: 5,
  server: 6,
  mcp: 6,
  cli: 7,
}

/** Packages that only the named folders may import: one driver per adapter. */
const drivers: Readonly<Record<string, readonly string[]>> = {
  'node:sqlite': ['src/store/'],
  pg: ['src/store/', 'src/messaging/transports/postgres/'],
  ioredis: ['src/messaging/transports/redis/', 'src/http/resilience/redis-connection.ts'],
  amqplib: ['src/messaging/transports/rabbitmq/'],
  '@platformatic/kafka': ['src/messaging/transports/kafka/'],
  '@nats-io/transport-node': ['src/messaging/transports/nats/'],
  fastify: ['src/server/'],
  commander: ['src/cli/main.ts', 'src/cli/program.ts'],
  '@clack/prompts': ['src/cli/'],
  vitest: ['src/testing/'],
}

interface SourceFile {
  readonly path: string
  readonly lines: readonly string[]
  readonly imports: readonly { readonly specifier: string; readonly line: number }[]
}

function readTree(folder: string): SourceFile[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.ts$/.test(entry.name) && !/\.gen\./.test(entry.name))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name)
      const lines = readFileSync(path, 'utf8').split('\n')
      return { path: relative(root, path), lines, imports: importsOf(lines) }
    })
}

function importsOf(lines: readonly string[]) {
  const pattern = /(?:\bfrom\s+|\bimport\s*\(\s*|^import\s+)'([^']+)'/
  return lines.flatMap((text, at) => {
    const comment = /^\s*(\*|\/\/)/.test(text)
    const specifier = comment ? undefined : pattern.exec(text)?.[1]
    return specifier === undefined ? [] : [{ specifier, line: at + 1 }]
  })
}

const files = readTree(source)
const isTest = (path: string) => /\.test(-d)?\.ts$/.test(path)
const product = files.filter((file) => !isTest(file.path))
const roomOf = (path: string) => /^src\/([^/]+)\//.exec(path)?.[1]
const target = (file: SourceFile, specifier: string) =>
  relative(root, resolve(root, dirname(file.path), specifier))

/** Lines of product code that match, outside of comments. */
function offences(pattern: RegExp, exempt: (path: string) => boolean, among = product): string[] {
  return among
    .filter((file) => !exempt(file.path))
    .flatMap((file) =>
      file.lines.flatMap((text, at) =>
        !/^\s*(\*|\/\*|\/\/)/.test(text) && pattern.test(text)
          ? [`${file.path}:${at + 1}  ${text.trim()}`]
          : [],
      ),
    )
}

describe('rooms', () => {
  it('import strictly downwards', () => {
    const wrong = product.flatMap((file) => {
      const from = roomOf(file.path)
      return file.imports.flatMap(({ specifier, line }) => {
        const to = specifier.startsWith('.') ? roomOf(target(file, specifier)) : undefined
        if (from === undefined || to === undefined || from === to) return []
        const isDown = (layers[to] ?? 99) < (layers[from] ?? -1)
        return isDown ? [] : [`${file.path}:${line}  ${from} imports ${to}`]
      })
    })

    expect(wrong).toEqual([])
  })

  it('are entered through their index, except core', () => {
    const wrong = product.flatMap((file) =>
      file.imports.flatMap(({ specifier, line }) => {
        if (!specifier.startsWith('.')) return []
        const path = target(file, specifier)
        const to = roomOf(path)
        const isOwn = to === undefined || to === roomOf(file.path) || to === 'core'
        const isPort =
          roomOf(file.path) === 'testing' && /\/(transport|store|types)\.ts$/.test(path)
        // A folder of a room may be a door of its own: `agents/a2a`, `contracts/compat`.
        return isOwn || isPort || /\/index\.ts$/.test(path) ? [] : [`${file.path}:${line}  ${path}`]
      }),
    )

    expect(wrong).toEqual([])
  })

  it('have a layer each', () => {
    const unknown = new Set(
      files.map((file) => roomOf(file.path)).filter((room) => room !== undefined),
    )
    for (const room of Object.keys(layers)) unknown.delete(room)

    expect([...unknown]).toEqual([])
  })

  it('have no import cycles, type-only imports included', () => {
    expect(cycles()).toEqual([])
  })

  it('import a driver only in its adapter', () => {
    const wrong = product.flatMap((file) =>
      file.imports.flatMap(({ specifier, line }) => {
        const places = drivers[specifier]
        const isFine = !places || places.some((place) => file.path.startsWith(place))
        const isType = /^\s*import type\b/.test(file.lines[line - 1] ?? '')
        return isFine || isType ? [] : [`${file.path}:${line}  ${specifier}`]
      }),
    )

    expect(wrong).toEqual([])
  })
})

/** One cycle for each file that closes one, found by a depth-first walk. */
function cycles(): string[] {
  const graph = new Map(
    product.map((file) => [
      file.path,
      file.imports
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier }) => target(file, specifier)),
    ]),
  )
  const done = new Set<string>()
  const found: string[] = []
  function walk(path: string, trail: readonly string[]): void {
    const at = trail.indexOf(path)
    if (at >= 0) {
      found.push([...trail.slice(at), path].join(' → '))
      return
    }
    if (done.has(path)) return
    for (const next of graph.get(path) ?? []) walk(next, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) walk(path, [])
  return found
}

describe('files', () => {
  it('have at most 500 lines, tests 800', () => {
    const long = files
      .filter((file) => file.lines.length - 1 > (isTest(file.path) ? 800 : 500))
      .map((file) => `${file.path}: ${file.lines.length - 1} lines`)

    expect(long).toEqual([])
  })

  it('hold functions of at most 70 lines', () => {
    const long = product
      .filter((file) => !file.path.startsWith('src/testing/'))
      .flatMap((file) => longFunctions(file, 70))

    expect(long).toEqual([])
  })

  it('are named by what they hold', () => {
    const vague = files.filter((file) =>
      /\/(utils?|helpers?|common|shared|interfaces|misc)(\.ts|\/)/.test(file.path),
    )

    expect(vague.map((file) => file.path)).toEqual([])
  })
})

/** By indentation, which the formatter guarantees: a function ends at a brace in the column it began. */
function longFunctions(file: SourceFile, max: number): string[] {
  const opening =
    /^(\s*)(?:export )?(?:async )?(?:function\b.*|(?:static |get |set |async |#)*[\w#]+\(.*|(?:const|readonly) \w+ = .*=>.*)\{$/
  return file.lines.flatMap((text, at) => {
    const match = opening.exec(text)
    if (!match || /^\s*(if|for|while|switch|catch|return|else)\b/.test(text)) return []
    const indent = match[1] ?? ''
    const end = file.lines.findIndex(
      (line, index) => index > at && line.startsWith(`${indent}}`) && !line.endsWith('{'),
    )
    const length = end < 0 ? 0 : end - at + 1
    return length > max ? [`${file.path}:${at + 1}  ${length} lines`] : []
  })
}

describe('code', () => {
  it('has named exports only, each named', () => {
    expect(offences(/^export default\b|^export (type )?\* from/, () => false)).toEqual([])
  })

  it('touches environment, console and exit only in the command line', () => {
    const pattern = /\bprocess\.(env|argv|exit)\b|\bconsole\./

    expect(offences(pattern, (path) => path.startsWith('src/cli/'))).toEqual([])
  })

  it('takes time and luck as parameters', () => {
    const pattern =
      /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\b|(?<![.\w])set(Timeout|Interval)\(|\bperformance\.now\(/
    const exempt = (path: string) =>
      /^src\/core\/(clock|random)\.ts$|^src\/(cli|testing)\//.test(path)

    expect(offences(pattern, exempt)).toEqual([])
  })

  it('keeps no state at module level', () => {
    expect(offences(/^(export )?let\b/, () => false)).toEqual([])
  })

  it('loses no promise in a forEach', () => {
    expect(offences(/\.forEach\(async/, () => false)).toEqual([])
  })

  it('says why where it steps around a check', () => {
    const bare = /@ts-(ignore|nocheck|expect-error)\s*$|biome-ignore [\w/]+\s*:?\s*$/
    const found = files
      .filter((file) => file.path !== 'src/tidy.test.ts')
      .flatMap((file) =>
        file.lines.flatMap((text, at) => (bare.test(text) ? [`${file.path}:${at + 1}`] : [])),
      )

    expect(found).toEqual([])
  })

  it('leaves nothing to do behind', () => {
    const found = files
      .filter(
        (file) => !['src/tidy.test.ts', 'src/contracts/read/placeholder.ts'].includes(file.path),
      )
      .flatMap((file) =>
        file.lines.flatMap((text, at) =>
          /\b(TODO|FIXME|XXX)\b/.test(text) && !/placeholder/i.test(text)
            ? [`${file.path}:${at + 1}  ${text.trim()}`]
            : [],
        ),
      )

    expect(found).toEqual([])
  })
})

describe('tests', () => {
  it('are neither focused nor skipped without a condition', () => {
    const tests = files.filter((file) => isTest(file.path) && file.path !== 'src/tidy.test.ts')

    expect(offences(/\b(it|test|describe)\.(only|skip|todo)\(/, () => false, tests)).toEqual([])
  })

  it('do not sleep beside the code', () => {
    const tests = files.filter((file) => isTest(file.path) && file.path !== 'src/tidy.test.ts')
    const pattern = /await new Promise\(\(?\w*\)? => setTimeout|\bsleep\(/

    expect(offences(pattern, () => false, tests)).toEqual([])
  })
})
