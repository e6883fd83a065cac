import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { generateTypes, isUuid, validateMessage } from '../contracts/index.ts'
import { agentPlatform, createAgentPlatformBuilder, derivedId } from './agent-platform.ts'

it('the generated types are those of the contracts (else: node scripts/generate-packs.ts)', async () => {
  const text = readFileSync(join(import.meta.dirname, 'agent-platform.gen.ts'), 'utf8')
  expect(await generateTypes(agentPlatform())).toBe(text)
})

it('the builder of the pack builds every event from its example', () => {
  const builder = createAgentPlatformBuilder({ source: 'agent-orchestrator' })
  const events = agentPlatform().flatMap((contract) => Object.values(contract.events))
  expect(events).toHaveLength(35)
  for (const { name, examples } of events) {
    const message = builder.build(name as 'system.error', examples[0]?.value as never)
    expect(validateMessage(message, { pack: 'agent-platform', view: 'producer' }).ok).toBe(true)
  }
})

it('derived ids are UUIDs, the same for the same words, and others for others', () => {
  const id = derivedId('task', 'p1', 'prepare')
  expect(isUuid(id)).toBe(true)
  expect(derivedId('task', 'p1', 'prepare')).toBe(id)
  expect(
    new Set([id, derivedId('task', 'p1prepare'), derivedId('task', 'p1', 'prepare', '')]).size,
  ).toBe(3)
})
