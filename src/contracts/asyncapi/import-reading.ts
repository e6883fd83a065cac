import { basename, dirname, resolve } from 'node:path'
import type { Finding, Severity } from '../../core/finding.ts'
import type { JsonObject } from '../../core/json.ts'
import { isJsonObject, toPointer } from '../../core/json.ts'
import { problemFinding } from '../loader.ts'
import type { JsonSchema } from '../model.ts'
import type { Bundler } from '../schema/bundle.ts'
import { createBundler } from '../schema/bundle.ts'
import type { Resolver } from '../schema/reference.ts'
import { createResolver } from '../schema/reference.ts'
import type { Refusal } from '../schema/schema-store.ts'
import { createSchemaStore, isRefusal } from '../schema/schema-store.ts'
import type { DocumentNode } from './document-node.ts'
import { childOf, followNode } from './document-node.ts'
import { schemaOfNode } from './schema-pointer.ts'

/** What importing one document needs: it follows references inside the document's folder, and collects findings. */
export class ImportReading {
  readonly root: DocumentNode | undefined
  readonly findings: Finding[] = []
  readonly resolver: Resolver
  readonly #bundler: Bundler

  /** @param path The document. References do not leave its folder, and nothing is fetched. */
  constructor(path: string) {
    const file = resolve(path)
    const store = createSchemaStore()
    this.resolver = createResolver(store)
    this.#bundler = createBundler(store, (problem) => this.findings.push(problemFinding(problem)))
    const jail = dirname(file)
    const opened = store.open(encodeURIComponent(basename(file)), { directory: jail, jail })
    if (isRefusal(opened)) {
      const { code, message, hint } = opened
      const isMissing = code === 'SCHEMA_NOT_FOUND'
      this.findings.push(
        ...(opened.inside ?? [
          { code: isMissing ? 'FILE_NOT_FOUND' : code, message, hint, severity: 'error' },
        ]),
      )
      return
    }
    this.root = { document: opened, pointer: [], value: opened.value }
  }

  /** Reports something at a node. */
  add(
    node: DocumentNode,
    code: string,
    message: string,
    options: { severity?: Severity; hint?: string } = {},
  ): void {
    const { document, pointer } = node
    this.findings.push({
      code,
      message,
      severity: options.severity ?? 'error',
      pointer: toPointer(pointer),
      ...(options.hint === undefined ? {} : { hint: options.hint }),
      ...(document.source.file === undefined ? {} : { file: document.source.file }),
      ...document.source.place(pointer),
    })
  }

  /** Says that something has no place in a contract. */
  lose(node: DocumentNode, what: string, hint?: string): void {
    this.add(node, 'IMPORT_NOT_CARRIED', what, {
      severity: 'warning',
      ...(hint === undefined ? {} : { hint }),
    })
  }

  /** The node that this one means; undefined, after it was reported, where its reference leads nowhere. */
  follow(node: DocumentNode): DocumentNode | undefined {
    const found = followNode(this.resolver, node)
    if (!isRefusal(found)) return found
    this.#refuse(node, found)
    return undefined
  }

  #refuse(node: DocumentNode, { code, message, hint, inside }: Refusal): void {
    this.add(node, code, message, { hint })
    if (inside) this.findings.push(...inside)
  }

  /** The value under keys, references followed at each step; undefined where there is none. */
  at(node: DocumentNode, ...steps: readonly (string | number)[]): DocumentNode | undefined {
    let current = this.follow(node)
    for (const step of steps) {
      const child = current && childOf(current, step)
      current = child && this.follow(child)
    }
    return current
  }

  /** The entries of a map or list, references followed. */
  entries(node: DocumentNode | undefined): [string, DocumentNode][] {
    if (node === undefined || typeof node.value !== 'object' || node.value === null) return []
    return Object.keys(node.value).flatMap((key) => {
      const child = childOf(node, key)
      const followed = child && this.follow(child)
      return followed ? [[key, followed] as [string, DocumentNode]] : []
    })
  }

  /** A whole file that is a JSON Schema, self-contained; undefined after its problems were reported. */
  plainSchema({ document, pointer }: DocumentNode): JsonSchema | undefined {
    return this.#bundler.bundle({ document, pointer })?.schema
  }

  /** The schema of a payload, self-contained; undefined after its problems were reported. */
  schema(node: DocumentNode, format?: string): JsonSchema | undefined {
    const found = schemaOfNode(this.resolver, node, format)
    if (isRefusal(found)) {
      this.#refuse(node, found)
      return undefined
    }
    const { document, pointer } = found.target
    const schema = this.#bundler.bundle(found.target, found.draft)?.schema
    const written = pointer.reduce<unknown>(
      (value, step) => (value as Record<string, unknown> | undefined)?.[step],
      document.value,
    )
    const declared = isJsonObject(written) ? written.$schema : undefined
    const isBare = isJsonObject(schema) && schema.$schema === undefined
    return isBare && typeof declared === 'string' ? { $schema: declared, ...schema } : schema
  }
}

/** The value of a node as a map; empty where it is none. */
export function mapOf(node: DocumentNode | undefined): JsonObject {
  return isJsonObject(node?.value) ? node.value : {}
}

/** A text under a key; numbers that stand where a text is meant count as their text. */
export function textOf(node: DocumentNode | undefined, key: string): string | undefined {
  const value = mapOf(node)[key]
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : undefined
}
