// Takes guests' messages and makes bookings of them, through a gateway; what is no booking, a human reads.
//
//   npm start                                       the messages of messages.txt, with the simulator
//   npm start -- --stream                           the same, each booking shown while it is written
//   npm start -- --model gpt-4o-mini "A table ..."  a message of your own with a real model
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateObject, type LanguageModel, NoObjectGeneratedError, streamObject, TypeValidationError } from "ai";
import { z } from "zod";

const SIMULATOR_SAYS = "sim:say";
const SIMULATORS = "sim-";
const [OPENS, LAST_TABLE] = ["12:00:00", "21:30:00"];

// A table that a guest asks for.  Its JSON Schema goes with each call, and the gateway holds the answers to it, so that
// "2:30pm" comes as "14:30:00"; the house's hours are no schema, and are looked at here.
const BookingResponse = z.object({
  date: z.iso.date(),
  time: z.iso.time().refine((time) => time >= OPENS && time <= LAST_TABLE, `tables are given from ${OPENS} to ${LAST_TABLE}`),
  customer_name: z.string().min(1),
  guests: z.number().int().min(1).max(12),
});
type Booking = z.infer<typeof BookingResponse>;
type Outcome = { kind: "booking"; booking: Booking } | { kind: "for a human"; reasons: string[] };

// What the gateway says with status 422 when no answer fits.
const OutputInvalid = z.object({
  error: z.object({ code: z.literal("output_invalid"), errors: z.array(z.object({ path: z.string(), message: z.string() })) }),
});

// --- asking ---

async function booked(model: LanguageModel, message: string, isStreamed: boolean): Promise<Outcome> {
  // The gateway tries again, with each provider's limits in view; a second loop around it would not know them.
  const asked = { model, schema: BookingResponse, system: task(), prompt: message, temperature: 0, maxRetries: 0 };
  try {
    const booking = isStreamed ? await watched(asked) : (await generateObject(asked)).object;
    return { kind: "booking", booking };
  } catch (error) {
    return { kind: "for a human", reasons: reasonsOf(error) };
  }
}

function task(): string {
  const today = new Date().toDateString();
  return `Read the guest's message and fill in the booking that it asks for. Today is ${today}.`;
}

type Asked = {
  model: LanguageModel;
  schema: typeof BookingResponse;
  system: string;
  prompt: string;
  temperature: number;
  maxRetries: number;
};

// The booking, with what is known of it so far on the terminal.
async function watched(asked: Asked): Promise<Booking> {
  let failure: unknown;
  const { partialObjectStream, object } = streamObject({ ...asked, onError: ({ error }) => void (failure = error) });
  object.catch(() => {}); // what fails is told to `onError`
  for await (const partial of partialObjectStream) console.log("  ...", JSON.stringify(partial));
  if (failure !== undefined) throw failure;
  return await object;
}

// Why there is no booking.  An invalid answer never stops the application; neither does a gateway that cannot be reached.
function reasonsOf(error: unknown): string[] {
  if (APICallError.isInstance(error) && error.statusCode === 422) {
    const told = OutputInvalid.safeParse(JSON.parse(error.responseBody ?? "{}"));
    if (told.success) return told.data.error.errors.map(({ path, message }) => `${path.slice(1) || "answer"}: ${message}`);
  }
  const cause = NoObjectGeneratedError.isInstance(error) ? error.cause : error;
  const issues = TypeValidationError.isInstance(cause) ? cause.cause : cause;
  if (issues instanceof z.core.$ZodError) return issues.issues.map(({ path, message }) => `${path.join("/")}: ${message}`);
  return [error instanceof Error ? error.message : String(error)];
}

// --- messages, and what becomes of them ---

function readMessages(path: string): string[] {
  const text = readFileSync(path, "utf8").replace(/^(#.*\n)+/, "");
  return text.split("\n---\n").map((block) => block.trim()).filter(Boolean);
}

// What the guest wrote, without what the simulator is to say.
const guestsWords = (message: string): string => message.split(SIMULATOR_SAYS)[0]!.trim();

function keep(folder: string, message: string, outcome: Outcome): void {
  const store = (name: string, line: object) => appendFileSync(join(folder, name), `${JSON.stringify(line)}\n`);
  if (outcome.kind === "booking") store("reservations.jsonl", outcome.booking);
  else store("for_a_human.jsonl", { message: guestsWords(message), reasons: outcome.reasons });
}

function shown(message: string, outcome: Outcome): Record<string, string> {
  const became =
    outcome.kind === "booking"
      ? `${outcome.booking.date} ${outcome.booking.time}, ${outcome.booking.customer_name}, ${outcome.booking.guests}`
      : `for a human: ${outcome.reasons.join("; ")}`;
  return { guest: guestsWords(message).slice(0, 40), became };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: "string", default: "sim-small" },
    stream: { type: "boolean", default: false },
    folder: { type: "string", default: "." },
    file: { type: "string", default: join(import.meta.dirname, "messages.txt") },
  },
});
const gateway = createOpenAICompatible({
  name: "fairlead",
  baseURL: process.env.FAIRLEAD_URL ?? "http://127.0.0.1:8400/v1",
  apiKey: process.env.FAIRLEAD_KEY ?? "any",
  supportsStructuredOutputs: true, // the gateway takes schemas for every model
});
const messages = positionals.length > 0 ? positionals : readMessages(values.file);
const isSimulated = values.model.startsWith(SIMULATORS);
const rows = [];
for (const message of messages) {
  const outcome = await booked(gateway(values.model), isSimulated ? message : guestsWords(message), values.stream);
  keep(values.folder, message, outcome);
  rows.push(shown(message, outcome));
}
console.table(rows);
