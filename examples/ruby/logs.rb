# Writes to both logs; the lines end up in the run, and only there.
def handle(_context, _payload)
  puts "this is stdout"
  warn "this is stderr"
  "logged"
end
