// What users of `openai` and the AI SDK get, with Zod, from models that know nothing of schemas; prints one JSON document.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOpenAI } from "@ai-sdk/openai";
import { generateObject, generateText, Output, streamObject } from "ai";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import * as ends from "./ends.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const [origin, apiKey, texts] = process.argv.slice(2);
const at = { baseURL: `${origin}/v1`, apiKey };
const writes = JSON.parse(texts);
const asked = (text) => `a table for Ada\nwrite: ${writes[text]}`;
const schema = z.object({ name: z.string(), guests: z.number().int(), time: z.iso.time() });
const models = ["prompted", "called"];

const openai = new OpenAI({ ...at, maxRetries: 0 });
const messages = (text) => [{ role: "user", content: asked(text) }];
const response_format = zodResponseFormat(schema, "booking");
const parsed = async (model, text) =>
  (await openai.chat.completions.parse({ model, messages: messages(text), response_format })).choices[0].message.parsed;
const responded = async (model, text) =>
  (await openai.responses.parse({ model, input: asked(text), text: { format: zodTextFormat(schema, "booking") } })).output_parsed;

const providers = {
  "@ai-sdk/openai": (model) => createOpenAI(at).chat(model),
  "@ai-sdk/openai-compatible": (model) =>
    createOpenAICompatible({ ...at, name: "fairlead", supportsStructuredOutputs: true })(model),
};

async function streamed(model, text) {
  const { partialObjectStream, object } = streamObject({ model, schema, prompt: asked(text), maxRetries: 0 });
  for await (const _ of partialObjectStream);
  return object;
}

async function tell(of) {
  const told = { generateObject: [], output: [], streamObject: [] };
  for (const model of models)
    for (const text of ["fenced", "short"]) {
      const prompt = asked(text);
      told.generateObject.push((await generateObject({ model: of(model), schema, prompt, maxRetries: 0 })).object);
      told.output.push((await generateText({ model: of(model), output: Output.object({ schema }), prompt, maxRetries: 0 })).output);
      told.streamObject.push(await streamed(of(model), text));
    }
  const prompt = asked("nameless");
  told.invalid = await ends.ofCall(() => generateObject({ model: of("prompted"), schema, prompt, maxRetries: 2 }));
  return told;
}

const told = { chat: [], responses: [] };
for (const model of models)
  for (const text of ["fenced", "short"]) {
    told.chat.push(await parsed(model, text));
    told.responses.push(await responded(model, text));
  }
told.invalid = await ends.ofCall(() => parsed("prompted", "nameless"));
for (const [name, of] of Object.entries(providers)) told[name] = await tell(of);
console.log(JSON.stringify(told));
