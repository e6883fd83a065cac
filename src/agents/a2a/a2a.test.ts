import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadPack, validateMessage } from '../../contracts/index.ts'
import type { JsonObject } from '../../core/json.ts'
import type { AgentContractName, GateResult } from './index.ts'
import {
  agentContractNames,
  agentContractSchema,
  createBoundary,
  createContractValidator,
  eventOfContract,
  phases,
  validateContract,
  validateInbound,
  validateOutbound,
} from './index.ts'

const minimal: Record<AgentContractName, JsonObject> = {
  TaskSpanContract: {
    schema_version: 'v1',
    project_id: 'p',
    task_id: 't',
    phase: 'OTHER',
    status: 'in_progress',
  },
  HandoffContract: {
    schema_version: 'v1',
    handoff_id: 'h',
    from_agent: 'a',
    to_agent: 'a',
    capability_id: 'c',
    inputs: {},
    expected_output: { type: 'text' },
  },
  ArtifactIntent: {
    schema_version: 'v1',
    artifact_id: 'a',
    artifact_type: 'dashboard',
    intent: 'create',
    owner: 'o',
    parameter_sources: { x: null },
  },
  GateResult: {
    schema_version: 'v1',
    gate_id: 'g',
    phase: 'OTHER',
    result: 'pass',
    severity: 'info',
    checked_at: '2026-11-20T09:30:00Z',
  },
}
const span = minimal.TaskSpanContract
const verdict = (name: AgentContractName, payload: unknown) =>
  validateContract(name, payload).errors.map(
    ({ error_code, failed_path }) => `${error_code} ${failed_path}`,
  )

describe('validateContract', () => {
  it.each(agentContractNames)('%s: the required fields are enough, and each is needed', (name) => {
    expect(validateContract(name, minimal[name])).toEqual({ valid: true, errors: [] })
    for (const field of Object.keys(minimal[name])) {
      const { [field]: _left, ...rest } = minimal[name]
      const { errors } = validateContract(name, rest)
      expect(errors.map(({ error_code, failed_path }) => [error_code, failed_path])).toEqual([
        ['MISSING_REQUIRED_FIELD', '/'],
      ])
      expect(errors[0]?.message).toContain(field)
    }
  })
  const cases: [string, AgentContractName, unknown, string[]][] = [
    ['what is no object', 'TaskSpanContract', [], ['WRONG_TYPE /']],
    ['null', 'GateResult', null, ['WRONG_TYPE /']],
    ['text', 'HandoffContract', 'x', ['WRONG_TYPE /']],
    [
      'a wrong version',
      'TaskSpanContract',
      { ...span, schema_version: 'v2' },
      ['CONST_VIOLATION /schema_version'],
    ],
    [
      'a phase that is a number',
      'TaskSpanContract',
      { ...span, phase: 1 },
      ['WRONG_TYPE /phase', 'ENUM_MISMATCH /phase'],
    ],
    [
      'a status of another vocabulary',
      'TaskSpanContract',
      { ...span, status: 'done' },
      ['ENUM_MISMATCH /status'],
    ],
    [
      'two unknown fields in one object',
      'TaskSpanContract',
      { ...span, x: 1, y: 2 },
      ['UNKNOWN_FIELD /'],
    ],
    [
      'an unknown checksum',
      'TaskSpanContract',
      { ...span, checksums: { z: 'a' } },
      ['UNKNOWN_FIELD /checksums'],
    ],
    [
      'a checksum that is empty',
      'TaskSpanContract',
      { ...span, checksums: { source_checksum: '' } },
      ['MIN_LENGTH_VIOLATION /checksums/source_checksum'],
    ],
    [
      'an optional field that is null',
      'TaskSpanContract',
      { ...span, trace_id: null },
      ['WRONG_TYPE /trace_id'],
    ],
    [
      'a count below zero',
      'TaskSpanContract',
      { ...span, metrics: { gap_count: -1 } },
      ['VALUE_OUT_OF_RANGE /metrics/gap_count'],
    ],
    [
      'a count that is true',
      'TaskSpanContract',
      { ...span, metrics: { gap_count: true } },
      ['WRONG_TYPE /metrics/gap_count'],
    ],
    [
      'a count of three and a half',
      'TaskSpanContract',
      { ...span, metrics: { gap_count: 3.5 } },
      ['WRONG_TYPE /metrics/gap_count'],
    ],
    ['a count of 3.0', 'TaskSpanContract', { ...span, metrics: { gap_count: 3.0 } }, []],
    [
      'a score over 100',
      'TaskSpanContract',
      { ...span, metrics: { complexity_score: 100.5 } },
      ['VALUE_OUT_OF_RANGE /metrics/complexity_score'],
    ],
    [
      'empty checksums and metrics',
      'TaskSpanContract',
      { ...span, checksums: {}, metrics: {}, acceptance_criteria: [] },
      [],
    ],
    [
      'an empty criterion',
      'TaskSpanContract',
      { ...span, acceptance_criteria: ['a', ''] },
      ['MIN_LENGTH_VIOLATION /acceptance_criteria/1'],
    ],
    [
      'the same criterion twice',
      'TaskSpanContract',
      { ...span, acceptance_criteria: ['a', 'a'] },
      [],
    ],
    ['a text of blanks', 'TaskSpanContract', { ...span, task_id: '  ' }, []],
    [
      'a timestamp that is no date',
      'TaskSpanContract',
      { ...span, timestamp: '2026-02-30T09:00:00Z' },
      ['INVALID_FORMAT /timestamp'],
    ],
    [
      'a timestamp in epoch seconds',
      'TaskSpanContract',
      { ...span, timestamp: 1_763_630_000 },
      ['WRONG_TYPE /timestamp'],
    ],
    [
      'an expected output without type',
      'HandoffContract',
      { ...minimal.HandoffContract, expected_output: { schema_ref: 'x', fields: 1 } },
      ['UNKNOWN_FIELD /expected_output', 'MISSING_REQUIRED_FIELD /expected_output'],
    ],
    [
      'a deadline that is no date',
      'HandoffContract',
      { ...minimal.HandoffContract, deadline: 'tomorrow' },
      ['INVALID_FORMAT /deadline'],
    ],
    [
      'no parameter sources',
      'ArtifactIntent',
      { ...minimal.ArtifactIntent, parameter_sources: {} },
      ['EMPTY_OBJECT /parameter_sources'],
    ],
    [
      'a promotion that is text',
      'ArtifactIntent',
      { ...minimal.ArtifactIntent, promoted_to_task: 'yes' },
      ['WRONG_TYPE /promoted_to_task'],
    ],
    [
      'a category',
      'ArtifactIntent',
      { ...minimal.ArtifactIntent, artifact_category: 'integrity' },
      [],
    ],
    [
      'evidence without a reference',
      'GateResult',
      {
        ...minimal.GateResult,
        evidence: [
          { type: 'a', ref: 'b', description: '' },
          { type: 'a', x: 1 },
        ],
      },
      ['UNKNOWN_FIELD /evidence/1', 'MISSING_REQUIRED_FIELD /evidence/1'],
    ],
    [
      'a field name with a slash and a tilde',
      'HandoffContract',
      { ...minimal.HandoffContract, 'a/b~c': 1 },
      ['UNKNOWN_FIELD /'],
    ],
  ]
  it.each(cases)('%s', (_what, name, payload, expected) => {
    expect(verdict(name, payload)).toEqual(expected)
  })
  it('reports type, unknown fields, missing fields, then fields in the order of the schema', () => {
    const payload = {
      status: 'done',
      phase: 1,
      zz: 1,
      aa: 2,
      metrics: { gap_count: -1, other: 1 },
      schema_version: 'v0',
    }
    expect(verdict('TaskSpanContract', payload)).toEqual([
      'UNKNOWN_FIELD /',
      'MISSING_REQUIRED_FIELD /',
      'MISSING_REQUIRED_FIELD /',
      'CONST_VIOLATION /schema_version',
      'WRONG_TYPE /phase',
      'ENUM_MISMATCH /phase',
      'ENUM_MISMATCH /status',
      'UNKNOWN_FIELD /metrics',
      'VALUE_OUT_OF_RANGE /metrics/gap_count',
    ])
    expect(
      validateContract('TaskSpanContract', payload)
        .errors.slice(0, 3)
        .map(({ message }) => message),
    ).toEqual([
      'the fields "zz", "aa" are unknown',
      'the required field "project_id" is missing',
      'the required field "task_id" is missing',
    ])
  })
  it('names the schema and fills every field of the envelope, whatever is wrong', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...agentContractNames),
        fc.oneof(
          fc.jsonValue(),
          fc.dictionary(
            fc.constantFrom('schema_version', 'phase', 'metrics', 'evidence', 'inputs', 'x'),
            fc.jsonValue(),
          ),
        ),
        (name, payload) => {
          const { valid, errors } = validateContract(name, payload)
          expect(valid).toBe(errors.length === 0)
          for (const error of errors) {
            expect(Object.keys(error).sort()).toEqual([
              'error_code',
              'failed_path',
              'message',
              'next_action',
              'schema_id',
            ])
            expect(
              Object.values(error).every((text) => typeof text === 'string' && text !== ''),
            ).toBe(true)
            expect(error.schema_id).toBe(agentContractSchema(name).$id)
          }
        },
      ),
    )
  })
  it('an unknown contract name is an error of the program', () => {
    expect(() => validateContract('Handoff' as AgentContractName, {})).toThrow(
      expect.objectContaining({
        code: 'AGENT_CONTRACT_UNKNOWN',
        hint: expect.stringContaining('HandoffContract'),
      }),
    )
  })
  it('two versions live side by side, and a third is refused', () => {
    const v2 = {
      name: 'GateResult',
      version: 'v2',
      schema: { $id: 'https://example.com/gate-v2', type: 'object', required: ['score'] },
    } as const
    const validate = createContractValidator([v2])
    expect(validate('GateResult', minimal.GateResult).valid).toBe(true)
    expect(validate('GateResult', { schema_version: 'v2', score: 1 }).valid).toBe(true)
    expect(validate('GateResult', { schema_version: 'v2' }).errors[0]).toMatchObject({
      schema_id: 'https://example.com/gate-v2',
    })
    expect(
      validate('GateResult', { ...minimal.GateResult, schema_version: 'v3' }).errors,
    ).toMatchObject([{ error_code: 'CONST_VIOLATION' }])
  })
  it('the phases of the types are those of the schemas', () => {
    for (const name of ['TaskSpanContract', 'GateResult'] as const) {
      expect(
        (agentContractSchema(name).properties as { phase: { enum: string[] } }).phase.enum,
      ).toEqual(phases)
    }
  })
})

describe('boundaries', () => {
  const clock = { now: () => Date.UTC(2026, 10, 20, 9, 30) }
  it('let the same object through', () => {
    const payload = { ...span }
    expect(validateOutbound('TaskSpanContract', payload)).toBe(payload)
    expect(validateInbound('TaskSpanContract', payload)).toBe(payload)
  })
  it('refuse with every error, and with the failure event', () => {
    const wrong = { ...span, phase: 1, status: 'x', metrics: { gap_count: -1 } }
    expect(() => validateInbound('TaskSpanContract', wrong)).toThrow(
      expect.objectContaining({
        code: 'BOUNDARY_REFUSED',
        message: expect.stringContaining('(and 1 more)'),
        details: expect.objectContaining({
          event_type: 'handoff.validation.inbound.failed',
          contract_name: 'TaskSpanContract',
          direction: 'inbound',
          error_count: 4,
        }),
        findings: expect.arrayContaining([
          expect.objectContaining({ pointer: '/metrics/gap_count' }),
        ]),
      }),
    )
  })
  it('report each outcome as a gate result that satisfies its own contract', () => {
    const gates: GateResult[] = []
    const boundary = createBoundary({ emit: (gate) => gates.push(gate), clock, name: 'export' })
    boundary.outbound('TaskSpanContract', { ...span, trace_id: 'x' })
    expect(() => boundary.inbound('HandoffContract', {})).toThrow()
    expect(() => boundary.inbound('HandoffContract', null)).toThrow()
    for (const gate of gates)
      expect(validateContract('GateResult', gate)).toEqual({ valid: true, errors: [] })
    expect(gates).toMatchObject([
      {
        gate_id: 'export-outbound-TaskSpanContract',
        result: 'pass',
        blocking: false,
        trace_id: 'x',
        task_id: 't',
        checked_at: '2026-11-20T09:30:00.000Z',
      },
      {
        gate_id: 'export-inbound-HandoffContract',
        result: 'fail',
        severity: 'error',
        blocking: true,
        next_action: expect.any(String),
      },
      { result: 'fail', evidence: [{ type: 'WRONG_TYPE', ref: '/' }] },
    ])
  })
  it('tell the active span', () => {
    const events: [string, unknown][] = []
    const recording = {
      isRecording: () => true,
      addEvent: (name: string, attributes: unknown) => events.push([name, attributes]),
    }
    const withSpan = trace.setSpan(ROOT_CONTEXT, recording as never)
    const manager = {
      active: () => withSpan,
      with: (_c: unknown, run: () => unknown) => run(),
      bind: <T>(_c: unknown, target: T) => target,
      enable: () => manager,
      disable: () => manager,
    }
    context.setGlobalContextManager(manager as never)
    try {
      validateOutbound('GateResult', minimal.GateResult)
      expect(() => validateOutbound('GateResult', { ...minimal.GateResult, phase: 1 })).toThrow()
    } finally {
      context.disable()
    }
    expect(events).toEqual([
      ['handoff.validated', { contract_name: 'GateResult', direction: 'outbound' }],
      [
        'handoff.validation.outbound.failed',
        {
          contract_name: 'GateResult',
          direction: 'outbound',
          error_count: 2,
          'error.0.code': 'WRONG_TYPE',
          'error.0.path': '/phase',
          'error.1.code': 'ENUM_MISMATCH',
          'error.1.path': '/phase',
        },
      ],
    ])
  })
})

describe('on the bus', () => {
  const envelope = {
    id: '550e8400-e29b-41d4-a716-446655440000',
    source: 'orchestrator',
    timestamp: '2026-11-20T09:30:00Z',
    correlation_id: '5d976e66-8c32-483f-a9d1-8feaade0e1e0',
  }
  it.each(agentContractNames)('%s is an event, closed on both sides', (name) => {
    const message = (data: JsonObject) => ({ ...envelope, type: eventOfContract[name], data })
    for (const view of ['producer', 'reader'] as const) {
      expect(validateMessage(message(minimal[name]), { pack: 'a2a-v1', view }).ok).toBe(true)
      expect(
        validateMessage(message({ ...minimal[name], extra: 1 }), { pack: 'a2a-v1', view }).ok,
      ).toBe(false)
      expect(
        validateMessage(message({ ...minimal[name], schema_version: 'v2' }), {
          pack: 'a2a-v1',
          view,
        }).ok,
      ).toBe(false)
    }
  })
  it('the examples of the pack satisfy their contracts', () => {
    const [contract] = loadPack('a2a-v1')
    for (const name of agentContractNames) {
      const examples = contract?.events[eventOfContract[name]]?.examples ?? []
      expect(examples.length).toBeGreaterThan(0)
      for (const { value } of examples)
        expect(validateContract(name, value)).toEqual({ valid: true, errors: [] })
    }
  })
})
