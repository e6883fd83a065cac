import { createRequire } from 'node:module'
import type { Ajv, CodeKeywordDefinition, KeywordCxt } from 'ajv'

const require = createRequire(import.meta.url)
type Codegen = typeof import('ajv/dist/compile/codegen/index.js')
type Tools = typeof import('ajv/dist/compile/util.js')

/**
 * Ajv keeps the names that a schema has evaluated as a constant until a branch adds to them, and then declares the
 * variable inside that branch: where the branch is not taken, they are lost. So it is declared before the branch.
 */
function declareEvaluated({ gen, it }: KeywordCxt): void {
  if (!it.opts.unevaluated) return
  const { Name } = require('ajv/dist/compile/codegen') as Codegen
  const { evaluatedPropsToName } = require('ajv/dist/compile/util') as Tools
  if (typeof it.props === 'object' && !(it.props instanceof Name)) {
    it.props = evaluatedPropsToName(gen, it.props)
  }
  if (typeof it.items === 'number') it.items = gen.var('items', it.items)
}

function asserts({ it }: KeywordCxt, keyword: 'then' | 'else'): boolean {
  const { alwaysValidSchema } = require('ajv/dist/compile/util') as Tools
  const schema = it.schema[keyword] as boolean | object | undefined
  if (schema === undefined) return false
  // An empty schema evaluates nothing either, but `true` for an extra field does.
  return !alwaysValidSchema(it, schema)
}

/** `if`: what it evaluates counts where it holds, and only there, also without `then` and `else` (2020-12 core, 10.2.2.1). */
const ifKeyword: CodeKeywordDefinition = {
  keyword: 'if',
  schemaType: ['object', 'boolean'],
  trackErrors: true,
  error: {
    message: ({ params }) => `must match "${String(params.ifClause)}" schema`,
    params: ({ params }) => {
      const { _ } = require('ajv/dist/compile/codegen') as Codegen
      return _`{failingKeyword: ${params.ifClause}}`
    },
  },
  code(cxt) {
    const { _, not } = require('ajv/dist/compile/codegen') as Codegen
    const { gen, it } = cxt
    const [hasThen, hasElse] = [asserts(cxt, 'then'), asserts(cxt, 'else')]
    if (!hasThen && !hasElse && !it.opts.unevaluated) return
    const valid = gen.let('valid', true)
    const holds = gen.name('_valid')
    const condition = cxt.subschema(
      { keyword: 'if', compositeRule: true, createErrors: false, allErrors: false },
      holds,
    )
    cxt.reset()
    declareEvaluated(cxt)
    cxt.mergeValidEvaluated(condition, holds)
    const clause = (keyword: 'then' | 'else', name?: ReturnType<typeof gen.let>) => () => {
      const branch = cxt.subschema({ keyword }, holds)
      gen.assign(valid, holds)
      cxt.mergeValidEvaluated(branch, valid)
      if (name) gen.assign(name, _`${keyword}`)
      else cxt.setParams({ ifClause: keyword })
    }
    if (hasThen && hasElse) {
      const name = gen.let('ifClause')
      cxt.setParams({ ifClause: name })
      gen.if(holds, clause('then', name), clause('else', name))
    } else if (hasThen) gen.if(holds, clause('then'))
    else if (hasElse) gen.if(not(holds), clause('else'))
    if (hasThen || hasElse) cxt.pass(valid, () => cxt.error(true))
  },
}

/** Makes the conditional keywords note what they evaluate as the specification says. Only needed beside `unevaluated*`. */
export function installConditionals(ajv: Ajv): void {
  for (const keyword of ['dependentSchemas', 'dependencies']) {
    const definition = ajv.getKeyword(keyword)
    if (typeof definition !== 'object' || !('code' in definition)) continue
    const { code } = definition as CodeKeywordDefinition
    ajv.removeKeyword(keyword)
    ajv.addKeyword({
      ...(definition as CodeKeywordDefinition),
      keyword,
      // At the end of the list it would come too late for what asks about it.
      ...(ajv.getKeyword('unevaluatedProperties') === false
        ? {}
        : { before: 'unevaluatedProperties' }),
      code(cxt, ruleType) {
        declareEvaluated(cxt)
        code(cxt, ruleType)
      },
    })
  }
  if (ajv.getKeyword('if') === false) return
  ajv.removeKeyword('if')
  ajv.addKeyword(ifKeyword)
}
