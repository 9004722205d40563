/** The statements about members, leases and parked events. Parameters stand in the order of the text. */
import { discardColumns, leaseColumns, memberColumns, parkedColumns } from "../rows.ts";

export const readMembers: string = `SELECT ${memberColumns} FROM convergent_members ORDER BY id`;

export const saveMember: string = `INSERT INTO convergent_members (${memberColumns}) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET place = excluded.place, process = excluded.process, beat = excluded.beat, readers = excluded.readers`;

export const removeMember = "DELETE FROM convergent_members WHERE id = ?";

export const readLeases: string = `SELECT ${leaseColumns} FROM convergent_leases WHERE reader = ? AND version = ? AND source = ? ORDER BY slot`;

export const readAllLeases: string = `SELECT ${leaseColumns} FROM convergent_leases ORDER BY slot, reader, version, source`;

export const readHeld = "SELECT count(*), total(fence) FROM convergent_leases WHERE owner = ?";

export const saveLease: string = `INSERT INTO convergent_leases (${leaseColumns}) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (reader, version, source, slot) DO UPDATE SET owner = excluded.owner, fence = excluded.fence`;

export const dropLeases = "DELETE FROM convergent_leases WHERE reader = ? AND version BETWEEN ? AND ?";

const ofReader = "reader = ? AND version = ? AND source = ?";

export const hasParked: string = `SELECT 1 FROM convergent_parked WHERE ${ofReader} LIMIT 1`;

export const readParkedOfKey: string = `SELECT ${parkedColumns} FROM convergent_parked WHERE ${ofReader} AND order_key = ? ORDER BY position LIMIT ? + 0`;

// With min() the other columns are those of the row that has the minimum.
const firstOfKey = `SELECT ${parkedColumns.replace("position", "min(position)")}, count(*) FROM convergent_parked`;

export const readParkedKeys: string = `${firstOfKey} WHERE ${ofReader} GROUP BY order_key ORDER BY min(position)`;

export const readAllParkedKeys: string = `${firstOfKey} GROUP BY reader, version, source, order_key ORDER BY min(position)`;

export const readRequestedKeys: string = `${firstOfKey} WHERE (reader, version, source, order_key) IN
  (SELECT reader, version, source, order_key FROM convergent_parked WHERE request <> '')
  GROUP BY reader, version, source, order_key ORDER BY min(position)`;

export const countParked: string = `SELECT count(DISTINCT order_key), count(*), min(position) FROM convergent_parked WHERE ${ofReader}`;

export const saveParked: string = `INSERT OR REPLACE INTO convergent_parked (${parkedColumns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

export const removeParked: string = `DELETE FROM convergent_parked WHERE ${ofReader} AND order_key = ? AND position = ?`;

export const dropParked = "DELETE FROM convergent_parked WHERE reader = ? AND version BETWEEN ? AND ?";

export const readDiscards: string = `SELECT ${discardColumns} FROM convergent_discards WHERE reader = ? AND source = ? ORDER BY at, position`;

export const readAllDiscards: string = `SELECT ${discardColumns} FROM convergent_discards ORDER BY at, position`;

export const countDiscards = "SELECT count(*) FROM convergent_discards";

export const saveDiscard: string = `INSERT OR REPLACE INTO convergent_discards (${discardColumns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
