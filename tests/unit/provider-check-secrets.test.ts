import { expect } from "chai";
import * as rpc from "@pulumi/pulumi/proto/provider_pb";
import { Plugin } from "../../provider/core/plugin";
import { toStruct } from "../../provider/core/values";
import { kinds } from "../../provider/kinds";

describe("what a check says of a wrong value", () => {
  const plugin = new Plugin({ kinds, version: "0.0.0" } as unknown as ConstructorParameters<typeof Plugin>[0]);
  const reasonFor = (country: string, secrets: readonly string[]): string => {
    const request = new rpc.CheckRequest();
    request.setUrn("urn:pulumi:a::b::kvmesh:index:Machine::x");
    request.setType("kvmesh:index:Machine");
    request.setNews(toStruct({ country }, secrets));
    const failures = plugin.check(request).getFailuresList();
    return failures.find((failure) => failure.getProperty() === "country")?.getReason() ?? "no failure";
  };

  it("names the value, so that people see what they wrote", () => {
    expect(reasonFor("norway", [])).to.include('found "norway"');
  });

  it("never names a secret", () => {
    const reason = reasonFor("hunter2hunter2", ["country"]);
    expect(reason).to.include("must be an ISO 3166-1 code").and.include("not shown");
    expect(reason).to.not.include("hunter2");
  });
});
