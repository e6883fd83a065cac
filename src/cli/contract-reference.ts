import { metaSchema } from '../contracts/index.ts'

type Node = (typeof metaSchema)['$defs'][string]

/** One table of the page: the keys of one kind of map. */
interface Section {
  readonly title: string
  readonly node: Node
}

const definitions = metaSchema.$defs
const isMapOfKeys = (
  node: Node | undefined,
): node is Node & { readonly properties: Readonly<Record<string, Node>> } =>
  node?.properties !== undefined
const anchor = (title: string) => title.toLowerCase().replaceAll(/[^a-z0-9-]/g, '')
const link = (title: string) => `[${title}](#${anchor(title)})`
const code = (value: unknown) => `\`${String(value)}\``
const nameOf = (node: Node) => node.$ref?.replace('#/$defs/', '')

/** Every kind of map, the contract first, each after the one that names it; found by walking the meta-schema. */
function sections(): readonly Section[] {
  const found = new Map<string, Section>()
  const walk = (title: string, node: Node): void => {
    if (found.has(title)) return
    found.set(title, { title, node })
    for (const [key, inner] of Object.entries(node.properties ?? {})) {
      for (const part of partsOf(inner)) {
        const name = nameOf(part)
        const target = name === undefined ? part : definitions[name]
        if (isMapOfKeys(target)) walk(name ?? pathOf(title, key), target)
      }
    }
  }
  walk('contract', metaSchema)
  return [...found.values()]
}

const pathOf = (title: string, key: string) => (title === 'contract' ? key : `${title}.${key}`)

/** A node, and what is inside lists, maps and choices of it. */
function partsOf(node: Node): readonly Node[] {
  const inside = [
    ...(node.items ? [node.items] : []),
    ...(typeof node.additionalProperties === 'object' ? [node.additionalProperties] : []),
    ...(node.anyOf ?? []),
  ]
  return [node, ...inside.flatMap(partsOf)]
}

/** What may stand there, in words. */
function valueText(node: Node, path: string): string {
  const name = nameOf(node)
  if (name !== undefined) return link(name)
  if (node.const !== undefined) return code(node.const)
  if (node.enum) return node.enum.map(code).join(' · ')
  if (isMapOfKeys(node)) return link(path)
  if (node.anyOf) return node.anyOf.map((choice) => valueText(choice, path)).join(' or ')
  if (node.items) return `list: ${valueText(node.items, path)}`
  if (typeof node.additionalProperties === 'object') {
    return `name → ${valueText(node.additionalProperties, path)}`
  }
  return plainText(node)
}

function plainText(node: Node): string {
  const range =
    node.minimum !== undefined && node.maximum !== undefined
      ? ` from ${node.minimum} to ${node.maximum}`
      : node.exclusiveMinimum !== undefined && node.maximum !== undefined
        ? ` above ${node.exclusiveMinimum}, up to ${node.maximum}`
        : ''
  const words = {
    string: 'text',
    integer: 'whole number',
    number: 'number',
    boolean: '`true` · `false`',
    array: 'list',
    object: 'map',
    null: 'nothing',
  } as const
  const type = typeof node.type === 'string' ? node.type : 'string'
  return `${words[type]}${range}`
}

function row(key: string, node: Node, path: string, isRequired: boolean): string {
  const name = nameOf(node)
  const own = node.description ?? (name === undefined ? undefined : definitions[name]?.description)
  const [, meaning = '', spoken] = /^(.*?)(?: ?Default:? (.*?)\.)?$/s.exec(own ?? '') ?? []
  const written = node.default === undefined ? spoken : code(node.default)
  const standing = isRequired ? '**required**' : (written ?? '')
  return `| ${code(key)} | ${meaning} | ${valueText(node, path)} | ${standing} |`
}

function sectionMarkdown({ title, node }: Section): string {
  const rows = Object.entries(node.properties ?? {}).map(([key, inner]) =>
    row(key, inner, pathOf(title, key), node.required?.includes(key) ?? false),
  )
  return `## ${title}

${node.description}

| key | meaning | value | default |
| --- | --- | --- | --- |
${rows.join('\n')}`
}

/** The kinds of plain values, as their titles say. */
function valuesMarkdown(): string {
  const plain = Object.entries(definitions).filter(([, node]) => !isMapOfKeys(node))
  return plain.map(([name, node]) => `### ${name}\n\n${sentence(node.title ?? '')}`).join('\n\n')
}

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`

/** Keys of the meta-schema that nothing explains; the page would have an empty cell for them. */
export function unexplainedKeys(): readonly string[] {
  return sections().flatMap(({ title, node }) =>
    Object.entries(node.properties ?? {})
      .filter(([, inner]) => {
        const name = nameOf(inner)
        return (inner.description ?? (name && definitions[name]?.description)) === undefined
      })
      .map(([key]) => `${title}.${key}`),
  )
}

/** docs/reference/contract.md: every key of a contract file, from the meta-schema that the loader checks with. */
export function contractMarkdown(note: string): string {
  return `${note}

# The contract file

One YAML file (\`.yaml\` or \`.yml\`) with \`treaty: 1\` says what systems have agreed. \`treaty check\` holds it against this
format and against itself: keys that are not listed here, values outside of their range, names that lead nowhere and examples
that break their schema are findings with file, line and column; [errors](../errors.md) has all of them. Editors complete and
check it with the JSON Schema \`treatyjs/treaty.schema.json\`:

\`\`\`yaml
# yaml-language-server: $schema=../node_modules/treatyjs/contracts/treaty.schema.json
\`\`\`

Paths to files are meant from the folder of the contract. A file holds one contract; it may have 10 MiB, 128 levels and 100
aliases. Schemas are JSON Schema, draft 2020-12 unless \`$schema\` says another (04, 06, 07, 2019-09); they describe the data of a
message, without its envelope. References lead to files of the project or of installed packages (\`npm:package/file.json\`); nothing is
fetched.

${sections().map(sectionMarkdown).join('\n\n')}

## Values

${valuesMarkdown()}
`
}
