# The entry point of a function on AWS Lambda's own Ruby, which calls `DispatchManaged.handler`
# itself. Calls go to the same workers as in an image of the function: see serve.rb.
# frozen_string_literal: true

ENV["DISPATCH_FUNCTION"] ||= File.join(__dir__, "function")

require "json"
require_relative "serve"

# What Lambda calls.
module DispatchManaged
  # A handler that does not load fails the start, and with it the call that is under way.
  POOL = DispatchServe::Pool.new

  def self.handler(event:, context:)
    ends = Time.now.to_f + context.get_remaining_time_in_millis / 1000.0
    left = DispatchServe.left_ms(ends)
    JSON.parse(DispatchServe.lambda_answer(POOL, JSON.generate(event), left))
  end
end
