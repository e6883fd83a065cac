// Watches the others: says how a service is when it starts and when it reports an error, and counts what is done.
import { runService } from './service.ts'

await runService({
  name: 'system-monitor',
  tables: `create table if not exists system_monitor_services (
    service_id text primary key, starts integer not null default 0, errors integer not null default 0) strict;
  create table if not exists system_monitor_projects (project_id text primary key, status text not null) strict`,

  handlers: (state) => ({
    'system.service_started': async ({ data }: { data: { service_id: string } }, context) => {
      await context.publish('system.service_health', {
        service_id: data.service_id,
        status: 'healthy',
        metrics: {
          cpu_usage_percent: 1.5,
          memory_usage_mb: 64,
          active_connections: 1,
          message_queue_depth: 0,
        },
        dependencies: { bus: 'healthy' },
      })
      context.commit(
        `insert into system_monitor_services (service_id, starts) values (?, 1)
         on conflict (service_id) do update set starts = starts + 1`,
        data.service_id,
      )
      return undefined
    },
    'system.error': async (message: { source: string }, context) => {
      context.commit(
        `insert into system_monitor_services (service_id, errors) values (?, 1)
         on conflict (service_id) do update set errors = errors + 1`,
        message.source,
      )
      return undefined
    },
    'system.service_health': async () => undefined,
    'project.completed': async (
      { data }: { data: { project_id: string; status: string } },
      context,
    ) => {
      if (state.row('select 1 from system_monitor_projects where project_id = ?', data.project_id))
        return undefined
      context.commit(
        'insert or ignore into system_monitor_projects (project_id, status) values (?, ?)',
        data.project_id,
        data.status,
      )
      return undefined
    },
  }),
})
