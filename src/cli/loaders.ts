import type { Command } from './command.ts'
import type { CommandName, CommandTable } from './command-table.ts'

/** Loads the code of one command; nothing else is imported before it is needed. */
export const loaders: {
  readonly [Name in CommandName]: () => Promise<Command<CommandTable[Name]>>
} = {
  init: async () => (await import('./commands/init.ts')).init,
  dev: async () => (await import('./commands/dev.ts')).dev,
  start: async () => (await import('./commands/start.ts')).start,
  serve: async () => (await import('./commands/serve.ts')).serve,
  gate: async () => (await import('./commands/gate.ts')).gate,
  review: async () => (await import('./commands/review.ts')).review,
  'can-i-deploy': async () => (await import('./commands/can-i-deploy.ts')).canIDeployCommand,
  migration: async () => (await import('./commands/migration.ts')).migration,
  compat: async () => (await import('./commands/compat.ts')).compat,
  check: async () => (await import('./commands/check.ts')).check,
  'contract show': async () => (await import('./commands/contract-show.ts')).contractShow,
  'contract docs': async () => (await import('./commands/contract-docs.ts')).contractDocs,
  'contract push': async () => (await import('./commands/contract-push.ts')).contractPush,
  'deployment record': async () => (await import('./commands/deployment.ts')).deploymentRecord,
  'deployment end': async () => (await import('./commands/deployment.ts')).deploymentEnd,
  'export asyncapi': async () =>
    (await import('./commands/export-asyncapi.ts')).exportAsyncApiCommand,
  'import asyncapi': async () =>
    (await import('./commands/import-contract.ts')).importAsyncApiCommand,
  'import jsonschema': async () =>
    (await import('./commands/import-contract.ts')).importJsonSchemaCommand,
  'import confluent': async () =>
    (await import('./commands/import-contract.ts')).importConfluentCommand,
  gen: async () => (await import('./commands/gen.ts')).gen,
  validate: async () => (await import('./commands/validate.ts')).validate,
  publish: async () => (await import('./commands/publish.ts')).publish,
  consume: async () => (await import('./commands/consume.ts')).consume,
  tail: async () => (await import('./commands/tail.ts')).tail,
  trace: async () => (await import('./commands/trace.ts')).trace,
  'dead list': async () => (await import('./commands/dead-list.ts')).deadList,
  'dead show': async () => (await import('./commands/dead-show.ts')).deadShow,
  'dead replay': async () => (await import('./commands/dead-settle.ts')).deadReplay,
  'dead discard': async () => (await import('./commands/dead-settle.ts')).deadDiscard,
  'webhook listen': async () => (await import('./commands/webhook-listen.ts')).webhookListen,
  'webhook send': async () => (await import('./commands/webhook-send.ts')).webhookSend,
  'webhook sign': async () => (await import('./commands/webhook-signature.ts')).webhookSign,
  'webhook verify': async () => (await import('./commands/webhook-signature.ts')).webhookVerify,
  'webhook endpoint': async () => (await import('./commands/webhook-sender.ts')).webhookEndpoint,
  'webhook attempt': async () => (await import('./commands/webhook-sender.ts')).webhookAttempt,
  'webhook recover': async () => (await import('./commands/webhook-sender.ts')).webhookRecover,
  stats: async () => (await import('./commands/stats.ts')).stats,
  'connector list': async () => (await import('./commands/connector-list.ts')).connectorList,
  'connector call': async () => (await import('./commands/connector-call.ts')).connectorCall,
  'connector queue': async () => (await import('./commands/connector-queue.ts')).connectorQueue,
  'connector status': async () => (await import('./commands/connector-status.ts')).connectorStatus,
  'store backup': async () => (await import('./commands/store-backup.ts')).storeBackup,
  'store migrate': async () => (await import('./commands/store-migrate.ts')).storeMigrate,
  doctor: async () => (await import('./commands/doctor.ts')).doctor,
  explain: async () => (await import('./commands/explain.ts')).explain,
}
