# Makes a gem source of two gems: greet, which has native code, and shout, which uses it.
require "fileutils"
require "rubygems"

NATIVE = <<~C
  #include <ruby.h>
  static VALUE hello(VALUE self) { return rb_str_new_cstr("hello"); }
  void Init_greet(void) { rb_define_singleton_method(rb_define_module("Greet"), "hello", hello, 0); }
C

def gem(name, files, more = "")
  files.each do |path, text|
    FileUtils.mkdir_p(File.dirname(path))
    File.write(path, text)
  end
  File.write("#{name}.gemspec", <<~SPEC)
    Gem::Specification.new do |s|
      s.name, s.version, s.summary, s.authors = "#{name}", "1.0.0", "a test", ["nobody"]
      s.files = #{files.keys}
      #{more}
    end
  SPEC
  system("gem", "build", "--quiet", "#{name}.gemspec", "--output", "gems/#{name}-1.0.0.gem") || abort
end

FileUtils.mkdir_p("gems")
make = "require 'mkmf'\ncreate_makefile('greet')\n"
gem("greet", { "ext/extconf.rb" => make, "ext/greet.c" => NATIVE }, "s.extensions = ['ext/extconf.rb']")
shout = "require 'greet'\nmodule Shout\n  def self.hello = Greet.hello.upcase\nend\n"
gem("shout", { "lib/shout.rb" => shout }, "s.add_dependency 'greet', '~> 1.0'")
system("gem", "generate_index", "--quiet", "--directory", ".") || abort
