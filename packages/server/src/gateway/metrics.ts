/**
 * `GET /metrics` in Prometheus' text format. What requests count is kept in plain fields and turned into the library's
 * counters and gauges when somebody asks; readers are asked at that moment. Labels are names of definitions, routes
 * and statuses, so their number does not grow with traffic.
 */
import { type ReaderStatus, type ReplicaStatus, unfinishedName } from "convergent";
import { Counter, Gauge, Registry } from "prom-client";
import type { Live } from "../live/live.ts";
import type { Directory } from "./directory.ts";

const quantiles = { "0.5": "p50", "0.75": "p75", "0.95": "p95", "0.99": "p99" } as const;
const readerStates = ["starting", "moving", "idle", "standby", "paused", "stuck", "stopped"] as const;
const owners = ["owned", "elsewhere", "unowned"] as const;
const replicaStates = ["starting", "ready", "behind", "unreachable", "refused", "promoted"] as const;
const parkedUnits = ["keys", "events"] as const;

export class Metrics {
  readonly #directory: Directory;
  readonly #live: Pick<Live, "counts">;
  /** `route status` → answers. */
  readonly #answers = new Map<string, number>();

  constructor(directory: Directory, live: Pick<Live, "counts">) {
    this.#directory = directory;
    this.#live = live;
  }

  /** Counts an answer. `route` is the pattern, never the path. */
  answered(route: string, status: number): void {
    const key = `${route} ${status}`;
    this.#answers.set(key, (this.#answers.get(key) ?? 0) + 1);
  }

  /** Everything as of now. The registry is made anew each time: nothing in it outlives what it speaks of. */
  async text(): Promise<{ readonly contentType: string; readonly text: string }> {
    const registry = new Registry();
    this.#commands(registry);
    this.#requests(registry);
    this.#watching(registry);
    await this.#sagas(registry);
    await this.#services(registry);
    return { contentType: registry.contentType, text: await registry.metrics() };
  }

  #commands(registry: Registry): void {
    const counts = counterIn(registry, "convergent_commands_total", "Commands by outcome", ["entity", "command", "outcome"]);
    const seconds = gaugeIn(registry, "convergent_command_seconds", "Time from a command's arrival to its answer, since the start", [
      "entity",
      "command",
      "quantile",
    ]);
    for (const { meters } of [...this.#directory.entities.values(), ...this.#directory.sagas.values()]) {
      for (const { entity, command, counts: outcomes, durations } of meters.values()) {
        for (const [outcome, count] of Object.entries(outcomes)) counts.inc({ entity, command, outcome }, count);
        if (durations.count === 0) continue;
        for (const quantile of Object.keys(quantiles))
          seconds.set({ entity, command, quantile }, durations.percentile(Number(quantile) * 100) / 1e6);
      }
    }
  }

  #requests(registry: Registry): void {
    const answers = counterIn(registry, "convergent_http_answers_total", "Answers by route and status", ["route", "status"]);
    for (const [key, count] of this.#answers) {
      const [route = "", status = ""] = key.split(" ");
      answers.inc({ route, status }, count);
    }
  }

  #watching(registry: Registry): void {
    const { connections, watches, subjects } = this.#live.counts;
    gaugeIn(registry, "convergent_live_connections", "Connections of /live", []).set(connections);
    gaugeIn(registry, "convergent_live_watches", "Watches of all connections", []).set(watches);
    gaugeIn(registry, "convergent_live_subjects", "What is watched, each once", []).set(subjects);
  }

  async #sagas(registry: Registry): Promise<void> {
    const { sagas } = this.#directory;
    if (sagas.size === 0) return;
    const unfinished = gaugeIn(registry, "convergent_sagas", "Sagas that have not ended, by state, as far as their view has come", [
      "saga",
      "state",
    ]);
    const runs = gaugeIn(registry, "convergent_saga_runs", "Sagas that this process runs", ["saga"]);
    const seconds = gaugeIn(registry, "convergent_saga_seconds", "Time from start to end, of recent sagas that were asked for", [
      "saga",
      "quantile",
    ]);
    for (const { name: saga, service, runtime, pace } of sagas.values()) {
      runs.set({ saga }, runtime.running);
      for (const state of ["running", "parked"] as const)
        unfinished.set({ saga, state }, (await service.view(unfinishedName(saga)).count({ state })).value);
      for (const [quantile, name] of Object.entries(quantiles)) if (pace.tookMs) seconds.set({ saga, quantile }, pace.tookMs[name] / 1000);
    }
  }

  async #services(registry: Registry): Promise<void> {
    const position = gaugeIn(registry, "convergent_log_position", "Newest position of a service's log", ["service"]);
    const refusals = counterIn(registry, "convergent_refusals_total", "Commands of reactions that entities refused", ["service"]);
    const write = readerGauges(registry);
    const writeReplica = replicaGauges(registry);
    for (const service of this.#directory.services) {
      position.set({ service: service.name }, (await service.log.head()).position);
      refusals.inc({ service: service.name }, service.refusals);
      for (const reader of service.readers()) write(service.name, await reader.status());
      for (const replica of service.log.replicas?.status() ?? []) writeReplica(service.name, replica);
    }
  }
}

function readerGauges(registry: Registry): (service: string, status: ReaderStatus) => void {
  const labels = ["service", "reader"] as const;
  const positions = gaugeIn(registry, "convergent_reader_lag_positions", "Positions that a reader is behind the log it follows", labels);
  const seconds = gaugeIn(registry, "convergent_reader_lag_seconds", "Age of the oldest event that a reader has not applied", labels);
  const state = gaugeIn(registry, "convergent_reader_state", "1 for the state that a reader is in", [...labels, "state"]);
  const slots = gaugeIn(registry, "convergent_reader_slots", "Slots of a reader by who owns them: this process, others that live, nobody", [
    ...labels,
    "owner",
  ]);
  const parked = gaugeIn(registry, "convergent_reader_parked", "Order keys and events that a reader has set aside", [...labels, "unit"]);
  const visibility = gaugeIn(registry, "convergent_reader_visibility_seconds", "Time from write to visible, of recent events", [
    ...labels,
    "quantile",
  ]);
  return (service, status) => {
    const of = { service, reader: status.name };
    positions.set(of, status.lag.positions);
    seconds.set(of, status.lag.ms / 1000);
    for (const name of readerStates) state.set({ ...of, state: name }, status.state === name ? 1 : 0);
    for (const owner of owners) slots.set({ ...of, owner }, status.slots[owner]);
    for (const unit of parkedUnits) parked.set({ ...of, unit }, status.parked[unit]);
    const { visibilityMs } = status;
    if (visibilityMs)
      for (const [quantile, name] of Object.entries(quantiles)) visibility.set({ ...of, quantile }, visibilityMs[name] / 1000);
  };
}

function replicaGauges(registry: Registry): (service: string, status: ReplicaStatus) => void {
  const labels = ["service", "replica"] as const;
  const positions = gaugeIn(registry, "convergent_replica_lag_positions", "Positions that a read replica is behind its primary", labels);
  const seconds = gaugeIn(registry, "convergent_replica_lag_seconds", "Age of the oldest event that a read replica lacks", labels);
  const state = gaugeIn(registry, "convergent_replica_state", "1 for the state that a read replica is in", [...labels, "state"]);
  const reads = counterIn(registry, "convergent_replica_reads_total", "Snapshots of a read replica that were read from", labels);
  return (service, { place, lag, reads: count, ...status }) => {
    const of = { service, replica: place };
    positions.set(of, lag.positions);
    seconds.set(of, lag.ms / 1000);
    for (const name of replicaStates) state.set({ ...of, state: name }, status.state === name ? 1 : 0);
    reads.inc(of, count);
  };
}

function counterIn(registry: Registry, name: string, help: string, labelNames: readonly string[]): Counter {
  return new Counter({ name, help, labelNames: [...labelNames], registers: [registry] });
}

function gaugeIn(registry: Registry, name: string, help: string, labelNames: readonly string[]): Gauge {
  return new Gauge({ name, help, labelNames: [...labelNames], registers: [registry] });
}
