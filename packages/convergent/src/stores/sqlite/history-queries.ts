/** Statements about types of events, snapshots and persons. Parameters stand in the order of the text. */
import { eventColumns } from "../rows.ts";

export const readEventTypes = "SELECT type FROM convergent_event_types WHERE number > ? ORDER BY number";

export const insertEventType = "INSERT OR IGNORE INTO convergent_event_types (type) VALUES (?)";

export const readSnapshot = "SELECT at, event_id, state FROM convergent_snapshots WHERE stream = ? AND version = ?";

export const saveSnapshot = `INSERT INTO convergent_snapshots (stream, version, at, event_id, state) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (stream, version) DO UPDATE SET at = excluded.at, event_id = excluded.event_id, state = excluded.state`;

export const dropSnapshots = "DELETE FROM convergent_snapshots WHERE stream = ?";

export const insertPersonEvent = "INSERT INTO convergent_person_events (person, position) VALUES (?, ?)";

export const readPersonPositions =
  "SELECT position FROM convergent_person_events WHERE person = ? AND position > ? ORDER BY position LIMIT ? + 0";

export const readPersonEvents: string = `SELECT ${eventColumns} FROM convergent_events
  WHERE position IN (SELECT position FROM convergent_person_events WHERE person = ? AND position > ? ORDER BY position LIMIT ? + 0)
  ORDER BY position`;

export const readForgettings = "SELECT person, reason, actor FROM convergent_forgettings ORDER BY person";

export const beginForgetting = "INSERT OR IGNORE INTO convergent_forgettings (person, reason, actor) VALUES (?, ?, ?)";

export const endForgetting = "DELETE FROM convergent_forgettings WHERE person = ?";
