import { createRequire } from 'node:module'
import type { Ajv, Options } from 'ajv'
import type { Ajv2019 } from 'ajv/dist/2019.js'
import type { Ajv2020 } from 'ajv/dist/2020.js'
import type { JsonSchema } from '../model.ts'
import { installConditionals } from './ajv-conditionals.ts'
import { installKeywords, keywordNeeds } from './ajv-keywords.ts'
import type { Draft } from './draft.ts'
import { isOldDraft } from './draft.ts'
import { formatChecks } from './formats.ts'
import { compilePattern } from './safe-pattern.ts'

// Loaded on first use: a command that validates nothing must not pay for five drafts.
const require = createRequire(import.meta.url)

type AjvClass = new (options: Options) => Ajv

function ajvClass(draft: Draft): AjvClass {
  if (draft === '04') return (require('ajv-draft-04') as { default: AjvClass }).default
  if (draft === '2019-09') return (require('ajv/dist/2019') as { Ajv2019: typeof Ajv2019 }).Ajv2019
  if (draft === '2020-12') return (require('ajv/dist/2020') as { Ajv2020: typeof Ajv2020 }).Ajv2020
  return (require('ajv') as { Ajv: AjvClass }).Ajv
}

const patternEngine = Object.assign(compilePattern, { code: 'new RegExp' })

const inheritedNames = Object.getOwnPropertyNames(Object.prototype)

/** Schemas from this length on compile without Ajv's optimizer: those of GitHub take 3 s with it and 1.6 s without. */
const optimizedCharactersMax = 16_384

/** What an instance is made for. */
export interface AjvOptions {
  readonly draft: Draft
  /** All errors with the values that caused them, instead of the first alone. */
  readonly isVerbose: boolean
  /** Asserts `unevaluated*` also in drafts that do not have it: closed views need it. */
  readonly unevaluated: boolean
  /** Makes the drafts' own schemas known, so that a schema may refer to them. */
  readonly meta: boolean
}

/**
 * An Ajv for one schema, set up to say what the specification says. One for each schema, because an `$id` is
 * global to an instance and an instance keeps what it compiled; making one costs 0.05 ms.
 */
export function createAjv(schema: JsonSchema, options: AjvOptions): Ajv {
  const { draft, isVerbose, unevaluated, meta } = options
  const text = JSON.stringify(schema)
  const Class = ajvClass(draft)
  const ajv = new Class({
    strict: false,
    logger: false,
    validateSchema: false,
    meta,
    allErrors: isVerbose,
    verbose: isVerbose,
    messages: false,
    formats: formatChecks,
    // Inherited names (`constructor`, `valueOf`) are fields only where a schema speaks of them; asking costs time.
    ownProperties: inheritedNames.some((name) => text.includes(`"${name}"`)),
    // The optimizer takes half of the compile time and gives a large schema little; errors are the rare path anyway.
    code: { regExp: patternEngine, optimize: !isVerbose && text.length < optimizedCharactersMax },
    ...(isOldDraft(draft) ? { ignoreKeywordsWithRef: true, unevaluated } : {}),
  } as Options)
  if (isOldDraft(draft) && unevaluated) {
    const vocabulary = require('ajv/dist/vocabularies/unevaluated') as { default: [] }
    ajv.addVocabulary(vocabulary.default)
  }
  // Ajv notes which fields were evaluated, even where nobody asks; that costs time, and in some recursive schemas it throws.
  if (!text.includes('"unevaluated')) ajv.opts.unevaluated = false
  else installConditionals(ajv)
  installKeywords(ajv, keywordNeeds(schema))
  return ajv
}
